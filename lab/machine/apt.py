"""Installs Debian packages, or names the command that does."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable

from lab.errors import LabError
from lab.progress import progress

# Without the option it succeeds when nothing can be fetched, and what follows names another reason.
UPDATE = ("apt-get", "update", "-o", "APT::Update::Error-Mode=any")


def install(packages: Iterable[str], user: str) -> None:
    """Install packages for `user`, the part of the lab that needs them.

    Raises LabError with the command to run where this process is not allowed to install.
    """
    wanted = sorted(set(packages))
    if not wanted:
        return
    command = ["apt-get", "install", "--yes", "--no-install-recommends", *wanted]
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise LabError(
            f"{user} needs {' and '.join(wanted)}, and only root can install packages; "
            f"run: sudo {' '.join(command)}"
        )
    print(f"{user} needs {' and '.join(wanted)}: installing", file=sys.stderr)
    # With RUNLEVEL=1 invoke-rc.d starts no service: an installation adds only files.
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    for step in (UPDATE, command):
        with progress(" ".join(step[:2])):
            done = subprocess.run(
                step, env=environment, capture_output=True, text=True, check=False
            )
        if done.returncode != 0:
            raise LabError(f"`{' '.join(step)}` failed:\n{done.stderr or done.stdout}")
