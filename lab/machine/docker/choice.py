"""Which Docker daemon is used: the user's own if it can run the nodes, else a private one."""

from __future__ import annotations

import os
import platform
import shutil
from dataclasses import dataclass
from pathlib import Path

from lab.errors import LabError
from lab.machine.docker import daemon
from lab.machine.docker.files import Daemon
from lab.paths import PROJECT, Cache
from lab.releases.platforms import Platform
from runtime_observability.host import docker, engines, runner
from runtime_observability.host.daemon import command_line_address, refuse_a_daemon_elsewhere


@dataclass(frozen=True)
class Choice:
    """A daemon, and what the user should know about it."""

    host: str | None
    """Its address; None: the lab's private daemon."""
    reason: str
    warnings: tuple[str, ...] = ()


def choose(cache: Cache, here: Platform) -> Choice:
    """Return the user's daemon where it answers, else the private one.

    Raises LabError when DOCKER_HOST names a daemon that does not answer, when this user may not use
    the Docker socket, and for a Docker that cannot run the nodes.
    """
    private = Daemon(cache.docker)
    named = os.environ.get("DOCKER_HOST")
    if named == private.host:
        return Choice(None, f"the lab's private daemon at {named}, named by DOCKER_HOST")
    if shutil.which("docker") is None:
        return _private("there is no docker command", here)
    try:
        answer = runner.run(docker.INFO, timeout=15)
        if answer.code == 0:
            facts = docker.Daemon.read(answer.stdout)
            # The docker command follows docker's current context, the provider plugin does not.
            host = command_line_address()
            _refuse_unfit(facts, host)
            used = f"the daemon at {host}, version {facts.version}, which answers"
            return Choice(host, used, tuple(engines.advise(PROJECT, platform.release())))
        complaint = (answer.stderr.strip() or "nothing").splitlines()[-1]
    except docker.NotDockerError as error:
        raise LabError(f"Docker: {error}") from error
    except runner.CommandError as error:
        complaint = str(error)
    if os.geteuid() != 0 and "permission denied" in complaint.lower():
        _refuse_denied_socket(named, private, complaint)
    if named:
        raise LabError(
            f"DOCKER_HOST={named} does not answer ({complaint}). Start that daemon, or unset "
            "DOCKER_HOST to let the lab use another daemon or its own"
        )
    return _private(f"docker fails: {complaint}", here)


def _private(why: str, here: Platform) -> Choice:
    """Return the private daemon as the choice; raises NoDaemonError where none can run."""
    if here.system != "linux":
        raise daemon.NoDaemonError(
            f"{why}. Install Docker Desktop, colima or OrbStack, start it, and run the same "
            "command again: only on Linux can the lab start a daemon of its own"
        )
    return Choice(None, f"a private daemon, because {why}")


def _refuse_unfit(facts: docker.Daemon, host: str) -> None:
    """Raise LabError with every reason why this daemon cannot run the nodes."""
    problems = [
        *refuse_a_daemon_elsewhere(host),
        *engines.refuse(facts, PROJECT, Path.home(), docker.program()),
    ]
    if problems:
        raise LabError("\n".join(map(str, problems)))


def _refuse_denied_socket(named: str | None, private: Daemon, complaint: str) -> None:
    """Raise LabError with the cure if a socket is all that keeps this user from the daemon.

    Without DOCKER_HOST that is a NoDaemonError, and none if a private daemon already runs: only
    root can start one.
    """
    host = command_line_address()
    if not host.startswith("unix://") or (named is None and daemon.answers(private)):
        return
    error = LabError if named else daemon.NoDaemonError
    raise error(
        f"the Docker socket {host.removeprefix('unix://')} exists, but this user may not use it "
        f"({complaint}). Add the user to the group docker with `sudo usermod -aG docker $USER` and "
        "log in again, or set DOCKER_HOST to a daemon that you can use"
    )
