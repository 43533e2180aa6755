"""Which Docker engines can run a cluster of this folder: facts in, problems out."""

from __future__ import annotations

import re
from pathlib import Path

from runtime_observability.core.compatibility import OLDEST_DOCKER
from runtime_observability.core.problem import Problem
from runtime_observability.core.versions import Version
from runtime_observability.host.docker import Daemon

_KEY = "Docker"
_SNAP = "/snap/"
_SNAPS_DATA = "/var/snap/"


def refuse(daemon: Daemon, folder: Path, home: Path, program: Path) -> list[Problem]:
    """Why ``daemon`` cannot run the nodes of a project in ``folder``; empty when it can.

    ``program`` is the docker command with its links resolved, ``home`` the user's home folder.
    """
    return [*refuse_old(daemon), *refuse_others(daemon, folder, home, program)]


def refuse_others(daemon: Daemon, folder: Path, home: Path, program: Path) -> list[Problem]:
    """As ``refuse``, whatever the daemon's version."""
    return [
        *_refuse_podman(daemon),
        *_refuse_rootless(daemon),
        *_refuse_snap(daemon, folder, home, program),
    ]


def refuse_old(daemon: Daemon) -> list[Problem]:
    """A version that cannot be read counts as new enough: it is a build of somebody's own."""
    found = re.match(r"\d+\.\d+\.\d+", daemon.version)
    if found is None or Version.parse(found[0]) >= OLDEST_DOCKER:
        return []
    return [
        Problem(
            _KEY,
            f"{daemon.version} is too old",
            f"k3d does not work with a Docker before {OLDEST_DOCKER}",
            f"install Docker {OLDEST_DOCKER} or newer",
        )
    ]


def _refuse_podman(daemon: Daemon) -> list[Problem]:
    """Podman's service speaks Docker's API; its storage has another place (its man page
    containers-storage.conf)."""
    if not daemon.root.endswith("/containers/storage"):
        return []
    return [
        Problem(
            _KEY,
            f"what answers is Podman {daemon.version}",
            "k3d's nodes and Pulumi's provider need Docker",
            "install Docker and name its socket in DOCKER_HOST",
        )
    ]


def _refuse_rootless(daemon: Daemon) -> list[Problem]:
    """Without root, only cgroup v2 lets nodes limit their pods (k3d docs, rootless mode)."""
    if not daemon.rootless or daemon.cgroup_version != "1":
        return []
    return [
        Problem(
            _KEY,
            "the daemon runs rootless on cgroup v1",
            "its nodes cannot create the cgroups of their pods",
            "boot the machine with systemd.unified_cgroup_hierarchy=1, or use a daemon that runs "
            "as root",
        )
    ]


def _refuse_snap(daemon: Daemon, folder: Path, home: Path, program: Path) -> list[Problem]:
    """A snap sees the user's home folder without the hidden folders in it (snapd's interface
    ``home``)."""
    if _SNAP not in str(program) and not daemon.root.startswith(_SNAPS_DATA):
        return []
    if folder.is_relative_to(home) and folder != home:
        first = folder.relative_to(home).parts[0]
        if not first.startswith(".") and first != "snap":
            return []
    return [
        Problem(
            _KEY,
            f"it is installed as a snap, which cannot read {folder}",
            f"a snap sees only {home}, without its hidden folders",
            f"move the project to a folder in {home}, or install Docker from docker.com",
        )
    ]


def advise(folder: Path, kernel: str) -> list[str]:
    """Warnings about a project in ``folder`` on a machine with the ``kernel`` release."""
    on_windows = re.match(r"/mnt/[a-z](/|\Z)", str(folder))
    if not on_windows or "microsoft" not in kernel.lower():
        return []
    return [
        f"{folder} is on a drive of Windows: reading it from WSL is slow, and the files' modes "
        "are not kept. Move the project into WSL's own file system, such as ~"
    ]
