"""The cgroups of a private daemon's containers, which outlive a daemon that is killed."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
SECONDS = 5.0
"""How long the kernel may take to remove killed processes from a cgroup."""


def remove(name: str, root: Path = ROOT) -> None:
    """Remove a cgroup with all cgroups in it from every hierarchy.

    Raises OSError if a process is still in one of them.
    """
    deadline = time.monotonic() + SECONDS
    for top in (root / name, *root.glob(f"*/{name}")):
        for folder, _, _ in os.walk(top, topdown=False):
            _remove_empty(Path(folder), deadline)


def _remove_empty(folder: Path, deadline: float) -> None:
    while True:
        try:
            folder.rmdir()
        except OSError as error:
            if error.errno != errno.EBUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return
