"""Starts a private Docker daemon."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from lab.errors import LabError
from lab.locks import exclusive
from lab.machine.docker import addresses, daemon, kernel_settings, processes, programs
from lab.machine.docker.addresses import Addresses
from lab.machine.docker.daemon import NoDaemonError
from lab.machine.docker.files import Daemon
from lab.paths import Cache

START_SECONDS = 60
SOCKET_PATH_LIMIT = 107  # unix(7): sun_path holds 108 bytes with its closing zero
SOURCES = Path(__file__).parent
CAP_SYS_RESOURCE = 24  # linux/capability.h
NAMESPACES = ("--net", "--mount", "--pid", "--fork", "--kill-child", "--propagation", "slave")
"""Options of unshare: the host's mounts stay visible, the daemon's mounts stay invisible."""


_UNREADABLE_NETWORKS = "libnetwork.(*controller).reservePools"
"""Where Debian's dockerd panics at every start, once it was killed while it deleted a network: the
record of that network has no addresses (moby#45057)."""


class _UnreadableNetworksError(NoDaemonError):
    """dockerd cannot start with what it knows of its networks."""


def ensure(cache: Cache) -> Daemon:
    """Return the cache's daemon, running: fast when it is up, else it is started.

    Raises NoDaemonError where no daemon can run, and LabError for a cache folder that is too deep.
    """
    private = Daemon(cache.docker)
    if daemon.answers(private):
        return private
    longest = str(private.longest_socket)
    if len(longest) > SOCKET_PATH_LIMIT:
        raise LabError(
            f"the cache folder's path is too long: {longest} has {len(longest)} characters, a unix "
            f"socket's path may have {SOCKET_PATH_LIMIT}; set RUNTIME_OBSERVABILITY_CACHE to a "
            "shorter one"
        )
    environment = prepare(cache)
    with exclusive(private.lock, "the private Docker daemon"):
        pid = processes.running_pid(private.pid_file, private.config_file)
        # One that runs and does not answer is starting, or its machine is busy: wait for it first.
        if not pid or not _wait_until_up(private, lambda: None if processes.alive(pid) else pid):
            daemon.end(private)
            try:
                _launch(private, environment)
            except _UnreadableNetworksError:
                print(
                    "The private Docker daemon was killed while it deleted a network, and its "
                    "networks are forgotten: `make up` makes a stack's network again, with a new "
                    "cluster on it",
                    file=sys.stderr,
                )
                private.networks.unlink(missing_ok=True)
                daemon.end(private)
                _launch(private, environment)
    return private


def prepare(cache: Cache) -> dict[str, str]:
    """Get the programs that this machine lacks, the docker command included.

    Returns the environment variables with which dockerd works. Raises NoDaemonError where this
    user cannot run a daemon or the programs cannot be had.
    """
    if os.geteuid() != 0:
        raise NoDaemonError(
            "dockerd needs root; run as root, or set DOCKER_HOST to a daemon that you can use"
        )
    try:
        return programs.environment(cache)
    except LabError as error:
        raise NoDaemonError(f"a private Docker daemon lacks its programs: {error}") from error


def settings(private: Daemon, chosen: Addresses, shim: bool) -> dict[str, object]:
    """Return dockerd's daemon.json; with `shim` the OCI runtime is ours."""
    runtime = {"path": str(private.runtime_shim)}
    return {
        "hosts": [private.host],
        "pidfile": str(private.exec / "dockerd.pid"),
        "data-root": str(private.data),
        "exec-root": str(private.exec),
        "bip": chosen.bridge,
        "default-address-pools": [{"base": str(chosen.pool), "size": 24}],
        "userland-proxy-path": str(private.port_proxy),
        "cgroup-parent": f"/{private.cgroup}",
        "exec-opts": ["native.cgroupdriver=cgroupfs"],
        "log-opts": {"max-size": "20m"},
        "oom-score-adjust": 0,
        **({"runtimes": {"lab": runtime}, "default-runtime": "lab"} if shim else {}),
    }


def lacks_sys_resource() -> bool:
    """Whether this machine's root cannot give CAP_SYS_RESOURCE to a container."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    bounding = next(line for line in status.splitlines() if line.startswith("CapBnd:"))
    return not int(bounding.split()[1], 16) >> CAP_SYS_RESOURCE & 1


def _launch(private: Daemon, environment: Mapping[str, str]) -> None:
    """Start the daemon as a process that outlives this one."""
    # What it says of running containers is wrong: they ended with the daemon's namespaces.
    shutil.rmtree(private.exec, ignore_errors=True)
    private.exec.mkdir(parents=True)
    for source, program in (
        ("init.py", private.init),
        ("port_proxy.py", private.port_proxy),
        ("runtime_shim.py", private.runtime_shim),
    ):
        _copy(SOURCES / source, program)
    chosen = addresses.choose(addresses.routes())
    config = settings(private, chosen, lacks_sys_resource())
    private.config_file.write_text(json.dumps(config, indent=2), encoding="utf-8")
    kernel_settings.record(private)
    arguments = (private.config_file, os.getpid(), chosen.outgoing)
    with private.log.open("ab") as log:
        start = log.tell()
        process = subprocess.Popen(
            ["unshare", *NAMESPACES, "--", private.init, *map(str, arguments)],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/",
            env=environment, start_new_session=True,
        )  # fmt: skip
    if not _wait_until_up(private, process.poll):
        said = private.log.read_bytes()[start:].decode(errors="replace")
        tail = "\n".join(said.splitlines()[-5:])
        error = _UnreadableNetworksError if _UNREADABLE_NETWORKS in said else NoDaemonError
        raise error(f"dockerd did not start; log {private.log}:\n{tail}")
    if private.offline.exists():
        print(
            f"The private Docker daemon cannot pull images: {private.offline.read_text()}",
            file=sys.stderr,
        )


def _copy(source: Path, program: Path) -> None:
    """Make a program of one of our files: a copy, because the daemon may outlive this checkout.

    Its interpreter is the one behind .venv, which may be removed too.
    """
    interpreter = Path(sys.executable).resolve()
    text = source.read_text(encoding="utf-8")
    program.write_text(f"#!{interpreter} -SE\n{text}", encoding="utf-8")
    program.chmod(0o755)


def _wait_until_up(private: Daemon, ended: Callable[[], object]) -> bool:
    """Wait until the API answers; False once the process has ended or the time is up."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and ended() is None:
        if daemon.answers(private):
            return True
        time.sleep(0.1)
    return False
