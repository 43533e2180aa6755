"""`make lock`: write the locked requirements, every package with the hashes of its files."""

from __future__ import annotations

import subprocess
from pathlib import Path

from lab.machine.venv import SCRIPTS
from lab.paths import PROJECT

LOCKED = ("requirements", "requirements-dev", "lab/requirements", "lab/bootstrap")
"""NAME.in is written by hand, NAME.txt from it; later ones may refer to earlier ones."""
OLDEST_PYTHON = "3.11"


def run() -> int:
    """Resolve every NAME.in for all systems and supported Pythons; return uv's exit code."""
    for name in LOCKED:
        command: list[str | Path] = [
            SCRIPTS / "uv", "pip", "compile", "--quiet", "--universal", "--generate-hashes",
            "--allow-unsafe", "--no-annotate", "--custom-compile-command", "make lock",
            "--python-version", OLDEST_PYTHON, f"{name}.in", "--output-file", f"{name}.txt",
        ]  # fmt: skip
        code = subprocess.run(command, cwd=PROJECT, check=False).returncode
        if code:
            return code
    return 0
