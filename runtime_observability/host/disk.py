"""Whether the disks have room for a stack, and whether its own folder can be written."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from runtime_observability.core.naming import Names
from runtime_observability.core.problem import Problem

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
    own = _existing(names.directory)
    # Path.is_dir fails where another user's folder may not be read.
    has_files = os.path.isdir(names.node_directory)  # noqa: PTH112
    folders = [own, names.node_directory] if has_files else [own]
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
        str(_existing(names.directory)): ("the stack's files are written there", _FREE),
        docker_root: (
            "Docker keeps images and nodes there",
            f"{_FREE}: `docker builder prune` and `docker image prune` remove what no container "
            "uses",
        ),
    }
    problems = []
    for folder, (why, cure) in disks.items():
        # isdir is False too where a folder above may not be read.
        if not os.path.isdir(folder):  # noqa: PTH112
            continue
        free = shutil.disk_usage(folder).free // _MIB
        if free < LEAST_MIB:
            problems.append(Problem("disk", f"{free} MiB are free in {folder}", why, cure))
    return problems


def _existing(folder: Path) -> Path:
    """``folder``, or the nearest folder above it that exists."""
    return next(path for path in (folder, *folder.parents) if os.path.isdir(path))  # noqa: PTH112
