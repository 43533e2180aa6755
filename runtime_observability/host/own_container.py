"""Whether this program runs in a container of the daemon that it uses, and can work there.

The daemon's socket is then mounted in the container: what the program starts are its neighbours.
"""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from runtime_observability.core.naming import Names
from runtime_observability.core.problem import Problem
from runtime_observability.host import runner
from runtime_observability.host.docker import Owned

_MOUNTS = Path("/proc/self/mountinfo")
_MOUNTED_BY_DOCKER = ("/etc/hostname", "/etc/hosts", "/etc/resolv.conf")
_FORMAT = '{"network":{{json .HostConfig.NetworkMode}},"mounts":{{json .Mounts}}}'


def refuse(names: Names, containers: Iterable[Owned]) -> list[Problem]:
    """``containers`` are all of the daemon; only when this program runs in one, docker is called.

    Raises CommandError.
    """
    ids = identities(
        _MOUNTS.read_text(encoding="utf-8", errors="replace") if _MOUNTS.is_file() else "",
        socket.gethostname(),
    )
    for container in containers:
        if any(container.id.startswith(identity) for identity in ids):
            shown = runner.run(["docker", "inspect", "--format", _FORMAT, container.id]).checked()
            reasons = obstacles(json.loads(shown), names.state_folder)
            return [_problem(container.name, names, reasons)] if reasons else []
    return []


def identities(mounts: str, hostname: str) -> set[str]:
    """Ids, or their beginnings, that the container may have in which this program may run.

    ``mounts`` is the text of /proc/self/mountinfo: Docker mounts a few files of its folder
    containers/ID in every container, whatever its hostname and network (moby
    container/container_unix.go, NetworkMounts). The default hostname is the id's first 12 digits.
    """
    found = set()
    for line in mounts.splitlines():
        root, mounted_at = line.split(" ", 5)[3:5]
        match = re.search(r"/containers/([0-9a-f]{64})/", root)
        if match and mounted_at in _MOUNTED_BY_DOCKER:
            found.add(match[1])
    return found | ({hostname} if re.fullmatch("[0-9a-f]{12}", hostname) else set())


def obstacles(container: Mapping[str, Any], folder: Path) -> list[str]:
    """Why the stack cannot be made from ``container``; ``folder`` has the files of its nodes."""
    reasons = []
    if container["network"] != "host":
        reasons.append("127.0.0.1 is the container's own, not the one on which ports are published")
    if not _is_same_on_the_host(folder, container["mounts"] or []):
        reasons.append(f"the nodes mount paths of the host, where {folder} is not this folder")
    return reasons


def _is_same_on_the_host(folder: Path, mounts: Iterable[Mapping[str, Any]]) -> bool:
    around = [mount for mount in mounts if folder.is_relative_to(mount["Destination"])]
    innermost = max(around, key=lambda mount: len(Path(mount["Destination"]).parts), default=None)
    return (
        innermost is not None
        and innermost["Type"] == "bind"
        and innermost["Source"] == innermost["Destination"]
    )


def _problem(container: str, names: Names, reasons: list[str]) -> Problem:
    inside = names.state_folder.is_relative_to(names.folder)
    folder = names.folder if inside else names.state_folder
    return Problem(
        "Docker",
        f"this program runs in {container}, a container of the daemon that it uses",
        ", and ".join(reasons),
        "run it on the host, or start the container with the host's network and this folder at the "
        f"host's path: `--network host --volume {folder}:{folder}`",
    )
