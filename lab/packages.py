"""Debian packages that the lab's work needs: installed and named where it may, else asked for."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable

from lab.steps import LabError, progress


def ensure(packages: Iterable[str], reason: str) -> None:
    """Install packages, or raise LabError with the one command that does."""
    wanted = sorted(set(packages))
    if not wanted:
        return
    install = ["apt-get", "install", "--yes", "--no-install-recommends", *wanted]
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise LabError(
            f"{reason} needs {' and '.join(wanted)}, and only root can install packages; "
            f"run: sudo {' '.join(install)}"
        )
    print(f"{reason} needs {' and '.join(wanted)}: installing", file=sys.stderr)
    # RUNLEVEL=1 makes invoke-rc.d start no service: nothing but files comes to the machine.
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    for command in (["apt-get", "update"], install):
        with progress(" ".join(command[:2])):
            done = subprocess.run(
                command, env=environment, capture_output=True, text=True, check=False
            )
        if done.returncode != 0:
            raise LabError(f"`{' '.join(command)}` failed:\n{done.stderr or done.stdout}")
