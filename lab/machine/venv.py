"""The project's virtual environment, .venv."""

from __future__ import annotations

import hashlib
import importlib.util
import subprocess
import sys
from pathlib import Path

from lab.errors import LabError
from lab.locks import exclusive
from lab.paths import PROJECT, Cache
from lab.progress import progress

VENV = PROJECT / ".venv"
SCRIPTS = VENV / "bin"


def make(cache: Cache, requirements: str) -> Path:
    """Install a requirements file and the project into .venv, once; return its Python."""
    file = PROJECT / requirements
    stamp = VENV / f"{file.stem}.sha256"
    inputs = [file, PROJECT / "requirements.txt", PROJECT / "pyproject.toml"]
    # The folder counts too: ktrace is installed by reference to it.
    contents = b"".join(source.read_bytes() for source in inputs) + str(PROJECT).encode()
    digest = hashlib.sha256(contents)
    python = SCRIPTS / "python"
    clone = hashlib.sha256(str(PROJECT).encode()).hexdigest()[:8]
    with exclusive(cache.root / f".venv-{clone}.lock", str(VENV)):
        if python.exists() and stamp.exists() and stamp.read_text() == digest.hexdigest():
            return python
        if importlib.util.find_spec("ensurepip") is None:
            raise LabError(
                "the project's virtual environment needs Python's venv module; "
                "run: sudo apt-get install python3-venv"
            )
        commands: list[list[str | Path]] = [
            [
                python,
                "-m",
                "pip",
                "install",
                "--disable-pip-version-check",
                "--requirement",
                file,
                "--editable",
                PROJECT,
            ]
        ]
        # `venv` installs pip last: a virtual environment with pip is complete.
        if not (python.exists() and (SCRIPTS / "pip").exists()):
            commands.insert(0, [sys.executable, "-m", "venv", "--clear", VENV])
        log = cache.logs / f"venv-{clone}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        with progress(f".venv: installing {requirements}", minutes=1), log.open("w") as out:
            for command in commands:
                done = subprocess.run(command, stdout=out, stderr=out, check=False)
                if done.returncode != 0:
                    tail = log.read_text().strip().splitlines()[-5:]
                    raise LabError("\n".join([f".venv could not be made; log {log}:", *tail]))
        stamp.write_text(digest.hexdigest())
    return python
