"""What this machine has, and so what is used of it and what the lab makes instead.

The real tool, daemon, image or plugin is used wherever there is one; every decision carries its
reason, which `make up` prints. Examining changes nothing outside the cache. Without a docker
command no registry can be queried, so the private daemon's programs, which such a machine needs in
any case, are unpacked there at once.
"""

from __future__ import annotations

import os
import platform
import pwd
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from lab.errors import LabError
from lab.machine import network
from lab.machine.docker import daemon, start
from lab.machine.docker.files import Daemon
from lab.paths import PROJECT, Cache
from lab.providers import VERSIONS
from runtime_observability.core.compatibility import OLDEST_K3D, OLDEST_PULUMI, k3s_image
from runtime_observability.core.versions import Version
from runtime_observability.host import runner
from runtime_observability.host.docker import architecture, command_line_host, is_served

PLUGINS_SITE = "https://get.pulumi.com/releases/plugins"


@dataclass(frozen=True)
class Machine:
    """One decision for everything that either the machine or the lab can provide."""

    cache: Cache
    lab_pulumi: bool
    """Whether the lab's Pulumi is used: PATH has none that is new enough."""
    lab_k3d: bool
    """Whether the lab's k3d is used: PATH has none that is new enough."""
    lab_kubectl: bool
    """Whether PATH has no kubectl: the lab's is used if the lab builds Kubernetes anyway."""
    docker_host: str | None
    """The address of the user's daemon; None: the lab's private daemon is used."""
    lab_images: bool
    """Whether the lab builds the images, instead of pulling them from their registries."""
    stand_ins: bool
    """Whether the lab's stand-ins are used instead of the real provider plugins."""
    reasons: tuple[str, ...]
    """One line for the user per decision: what is used, and why."""

    @property
    def default_stack(self) -> str:
        """The committed stack file that fits this machine."""
        return "lab" if self.lab_images else "dev"


def examine(cache: Cache) -> Machine:
    """Decide what is used; takes a second at most once the network's answers are stored.

    Raises LabError when DOCKER_HOST names a daemon that does not answer, and when this user may not
    use the Docker socket.
    """
    pulumi, pulumi_reason = _tool("pulumi", ["version"], OLDEST_PULUMI, cache)
    k3d, k3d_reason = _tool("k3d", ["version"], OLDEST_K3D, cache)
    docker_host, docker_reason = _docker(cache)
    images, images_reason = _images(cache)
    stand_ins, plugins_reason = _plugins(cache)
    return Machine(
        cache=cache,
        lab_pulumi=pulumi is None,
        lab_k3d=k3d is None,
        lab_kubectl=shutil.which("kubectl", path=path_without(cache)) is None,
        docker_host=docker_host,
        lab_images=images,
        stand_ins=stand_ins,
        reasons=(
            f"Pulumi CLI: {pulumi_reason}",
            f"k3d: {k3d_reason}",
            f"Docker: {docker_reason}",
            f"images: {images_reason}",
            f"provider plugins: {plugins_reason}",
        ),
    )


def path_without(cache: Cache) -> str:
    """Return PATH as it was before `make env` put a folder of the cache in front of it."""
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    return os.pathsep.join(folder for folder in folders if Path(folder).parent != cache.tools)


def users_pulumi_home(cache: Cache) -> Path:
    """Return the user's own PULUMI_HOME, also in a shell that has evaluated `make env`."""
    named = os.environ.get("PULUMI_HOME")
    if named and named != str(cache.pulumi_home):
        return Path(named)
    # Not $HOME: Pulumi reads the user database (Go os/user.Current).
    return Path(pwd.getpwuid(os.getuid()).pw_dir) / ".pulumi"


def default_node_image() -> str:
    """Return the official image of the k3s release that Pulumi.yaml names."""
    schema = (PROJECT / "Pulumi.yaml").read_text(encoding="utf-8")
    release = re.search(r"^  k3sVersion:\n +type: string\n +default: (\S+)$", schema, re.MULTILINE)
    if release is None:
        raise LabError("Pulumi.yaml has no default for k3sVersion")
    return k3s_image(Version.parse(release[1]))


def _tool(
    name: str, version_arguments: Sequence[str], oldest: Version, cache: Cache
) -> tuple[str | None, str]:
    program = shutil.which(name, path=path_without(cache))
    if program is None:
        return None, "built by the lab, because none is on PATH"
    done = subprocess.run(
        [program, *version_arguments], capture_output=True, text=True, check=False
    )
    found = re.search(r"v?\d+\.\d+\.\d+", done.stdout)
    if found is None or Version.parse(found[0]) < oldest:
        version = found[0] if found else f"{done.stdout}{done.stderr}".strip() or "nothing"
        reason = f"{program} reports {version} and {oldest} or newer is needed"
        return None, f"built by the lab, because {reason}"
    return program, f"{program} ({found[0]}), found on PATH"


def _docker(cache: Cache) -> tuple[str | None, str]:
    private = Daemon(cache.docker)
    named = os.environ.get("DOCKER_HOST")
    if named == private.host:
        return None, f"the lab's private daemon at {named}, named by DOCKER_HOST"
    if shutil.which("docker") is None:
        return None, "a private daemon, because there is no docker command"
    try:
        answer = runner.run(["docker", "version", "--format", "{{.Server.Version}}"], timeout=15)
        if answer.code == 0:
            # The docker command follows docker's current context, the provider plugin does not.
            host = named or command_line_host()
            return host, f"the daemon at {host}, version {answer.stdout.strip()}, which answers"
        complaint = (answer.stderr.strip() or "nothing").splitlines()[-1]
    except runner.CommandError as error:
        complaint = str(error)
    if os.geteuid() != 0 and "permission denied" in complaint.lower():
        _refuse_denied_socket(named, private, complaint)
    if named:
        raise LabError(
            f"DOCKER_HOST={named} does not answer ({complaint}). Start that daemon, or unset "
            "DOCKER_HOST to let the lab use another daemon or its own"
        )
    return None, f"a private daemon, because docker fails: {complaint}"


def _refuse_denied_socket(named: str | None, private: Daemon, complaint: str) -> None:
    """Raise LabError with the cure if a socket is all that keeps this user from the daemon.

    Without DOCKER_HOST that is a NoDaemonError, and none if a private daemon already runs: only
    root can start one.
    """
    host = named or command_line_host()
    if not host.startswith("unix://") or (named is None and daemon.answers(private)):
        return
    error = LabError if named else daemon.NoDaemonError
    raise error(
        f"the Docker socket {host.removeprefix('unix://')} exists, but this user may not use it "
        f"({complaint}). Add the user to the group docker with `sudo usermod -aG docker $USER` and "
        "log in again, or set DOCKER_HOST to a daemon that you can use"
    )


def _images(cache: Cache) -> tuple[bool, str]:
    forced = os.environ.get("RUNTIME_OBSERVABILITY_LAB")
    if forced in ("0", "1"):
        origin = "built by the lab" if forced == "1" else "pulled from their registries"
        return forced == "1", f"{origin}, because RUNTIME_OBSERVABILITY_LAB={forced}"
    image = default_node_image()
    if shutil.which("docker") is None:
        start.prepare(cache)
    if network.remembered(image, lambda: is_served(image), cache):
        return False, (
            f"pulled from their registries, because {image} can be pulled "
            "(RUNTIME_OBSERVABILITY_LAB=1 builds them)"
        )
    return True, (
        f"built by the lab, because {image} cannot be pulled "
        "(RUNTIME_OBSERVABILITY_LAB=0 pulls them nevertheless)"
    )


def _plugins(cache: Cache) -> tuple[bool, str]:
    plugins = [f"resource-{name}-v{version}" for name, version in VERSIONS.items()]
    named = " and ".join(f"{name} {version}" for name, version in VERSIONS.items())
    installed = users_pulumi_home(cache) / "plugins"
    if all((installed / plugin).is_dir() for plugin in plugins):
        return False, f"{named}, installed in {installed}"
    forced = os.environ.get("RUNTIME_OBSERVABILITY_LAB")
    if forced in ("0", "1"):
        origin = "stand-ins" if forced == "1" else "downloaded"
        return forced == "1", f"{origin}, because RUNTIME_OBSERVABILITY_LAB={forced}"
    system = f"{platform.system().lower()}-{architecture(platform.machine())}"
    urls = [f"{PLUGINS_SITE}/pulumi-{plugin}-{system}.tar.gz" for plugin in plugins]
    if all(network.remembered(url, partial(network.has_file, url), cache) for url in urls):
        return False, f"{named}, downloaded by Pulumi (RUNTIME_OBSERVABILITY_LAB=1 uses stand-ins)"
    return True, (
        f"stand-ins for {named}, because {PLUGINS_SITE} cannot be reached "
        "(RUNTIME_OBSERVABILITY_LAB=0 downloads them nevertheless)"
    )
