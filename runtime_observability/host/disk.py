"""Whether the disks have room for a stack, and whether its own folder can be written."""

from __future__ import annotations

import os
import shutil

from runtime_observability.core.naming import Names
from runtime_observability.core.problem import Problem
from runtime_observability.host.files import files_in, is_folder, nearest_folder, own, take_back

_USE = "the stack keeps its kubeconfig and its nodes' files there"
LEAST_MIB = 64
"""Less is a full disk: the files of an image or of a node do not fit."""
LEAST_INODES = 1024
"""A disk has a number of files, too, that fit: without a free inode none can be made."""
_MIB = 1 << 20
_EVICTION_PERCENT = 5
"""Of a node's disk, which is Docker's: k3s tells its kubelets to evict pods where less is free (k3s
pkg/daemons/agent/agent_linux.go)."""
_WARNED_PERCENT = 6
"""Another node, as that of a rehearsal, takes some of it."""


def refuse(names: Names, docker_root: str) -> list[Problem]:
    """Why neither files nor nodes can be made.

    ``docker_root`` is the folder in which the daemon keeps everything; empty if it is not known.
    It may be on the daemon's machine alone, and is not looked at then.
    """
    return [*refuse_unusable(names), *refuse_full(names, docker_root)]


def refuse_unusable(names: Names) -> list[Problem]:
    """The stack's folders and files that this user cannot write or read."""
    return [*(_refuse_no_folder(names) or _refuse_read_only(names)), *_refuse_unreadable(names)]


def _refuse_no_folder(names: Names) -> list[Problem]:
    folder = names.node_directory
    there = next(path for path in (folder, *folder.parents) if os.path.lexists(path))
    if is_folder(there):
        return []
    target = f"a link to {there.readlink()}, where no folder is" if there.is_symlink() else ""
    return [
        Problem(
            "state folder",
            f"{there} is {target or 'no folder'}",
            _USE,
            "make that folder, or remove the link" if target else "move it away",
        )
    ]


def _refuse_read_only(names: Names) -> list[Problem]:
    folders = [nearest_folder(names.directory)]
    if is_folder(names.node_directory):
        folders.append(names.node_directory)
    return [
        Problem(
            "state folder",
            f"{folder} cannot be written",
            _USE,
            f"run {taking}, and pulumi without sudo"
            if (taking := take_back(folder))
            else "make it writable for this user, or move the project to a folder that is",
        )
        for folder in folders
        if not os.access(folder, os.W_OK | os.X_OK)
    ]


def _refuse_unreadable(names: Names) -> list[Problem]:
    """Files that a run of another user made, as one with sudo: unread, they would count as lost."""
    closed = [
        file
        for folder in (names.directory, names.node_directory)
        for file in files_in(folder)
        if not os.access(file, os.R_OK)
    ]
    if not closed:
        return []
    more = f" and {len(closed) - 1} more of its files" if len(closed) > 1 else ""
    return [
        Problem(
            "state folder",
            f"{closed[0]}{more} cannot be read",
            "another user made them, as root does in a run with sudo, and up would take what they "
            "tell of the cluster for lost",
            f"run {own(names.directory)}, and pulumi without sudo",
        )
    ]


def refuse_full(names: Names, docker_root: str) -> list[Problem]:
    disks = {
        str(nearest_folder(names.directory)): ("the stack's files are written there", ""),
        docker_root: (
            "Docker keeps images and nodes there",
            ": `docker builder prune` and `docker image prune` remove what no container uses",
        ),
    }
    return [
        Problem("disk", f"{left} in {folder}", why, f"{cure}{how}")
        for folder, (why, how) in disks.items()
        if is_folder(folder)
        for left, cure in _lacks(folder)
    ]


def advise(docker_root: str) -> list[str]:
    """A warning where pods may end for want of space; ``docker_root`` as in `refuse`."""
    if not is_folder(docker_root):
        return []
    disk = shutil.disk_usage(docker_root)
    if disk.free * 100 >= disk.total * _WARNED_PERCENT:
        return []
    return [
        f"less than {_WARNED_PERCENT} % of the disk of {docker_root} is free: nodes evict pods "
        f"when less than {_EVICTION_PERCENT} % is, and those that nothing makes again are lost. "
        "Free some space: `docker builder prune` and `docker image prune` remove what no container "
        "uses"
    ]


def _lacks(folder: str) -> list[tuple[str, str]]:
    """What is left of what the disk of ``folder`` has too little of, with the cure."""
    lacks = []
    free = shutil.disk_usage(folder).free // _MIB
    if free < LEAST_MIB:
        lacks.append((f"{free} MiB are free", f"free some space, {LEAST_MIB} MiB at least"))
    disk = os.statvfs(folder)
    has_inodes = disk.f_files > 0  # btrfs makes them as it needs them
    if has_inodes and disk.f_favail < LEAST_INODES:
        cure = f"remove files that are not needed, so that {LEAST_INODES} more can be made"
        lacks.append((f"{disk.f_favail} inodes are free", cure))
    return lacks
