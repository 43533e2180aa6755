"""Whether the disks have room for a stack, and whether its own folder can be written."""

from __future__ import annotations

import os
import shutil

from runtime_observability.core.naming import Names
from runtime_observability.core.problem import Problem
from runtime_observability.host.files import is_folder, nearest_folder

LEAST_MIB = 64
"""Less is a full disk: the files of an image or of a node do not fit."""
_MIB = 1 << 20
_FREE = f"free some space, {LEAST_MIB} MiB at least"


def refuse(names: Names, docker_root: str) -> list[Problem]:
    """Why neither files nor nodes can be made.

    ``docker_root`` is the folder in which the daemon keeps everything; empty if it is not known.
    It may be on the daemon's machine alone, and is not looked at then.
    """
    return [*refuse_read_only(names), *refuse_full(names, docker_root)]


def refuse_read_only(names: Names) -> list[Problem]:
    own = nearest_folder(names.directory)
    folders = [own, names.node_directory] if is_folder(names.node_directory) else [own]
    return [
        Problem(
            "state folder",
            f"{folder} cannot be written",
            "the stack keeps its kubeconfig and its nodes' files there",
            "make it writable for this user, or move the project to a folder that is",
        )
        for folder in folders
        if not os.access(folder, os.W_OK | os.X_OK)
    ]


def refuse_full(names: Names, docker_root: str) -> list[Problem]:
    disks = {
        str(nearest_folder(names.directory)): ("the stack's files are written there", _FREE),
        docker_root: (
            "Docker keeps images and nodes there",
            f"{_FREE}: `docker builder prune` and `docker image prune` remove what no container "
            "uses",
        ),
    }
    problems = []
    for folder, (why, cure) in disks.items():
        if not is_folder(folder):
            continue
        free = shutil.disk_usage(folder).free // _MIB
        if free < LEAST_MIB:
            problems.append(Problem("disk", f"{free} MiB are free in {folder}", why, cure))
    return problems
