"""Install the stand-in plugins where the engine looks for plugins.

Standard library only: this runs on the system's Python. Everything is copied or absolute, so the
plugins go on working when the clone that installed them is gone.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO

PLUGINS = {"command": "1.2.1", "docker": "5.2.0"}  # what the program's SDKs ask for
PACKAGE = Path(__file__).resolve().parent
REQUIREMENTS = PACKAGE.parent / "requirements.txt"


def fingerprint() -> str:
    """Return 12 hex digits that change with the plugins' code, their packages or this Python."""
    digest = hashlib.sha256(sys.version.encode())
    for file in [REQUIREMENTS, *_sources()]:
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:12]


def install(cache: Path, pulumi: Path, pulumi_home: Path, log: IO[bytes] | None = None) -> Path:
    """Install both plugins into `pulumi_home`; return the folder of the virtual environment.

    It is `<cache>/venv-<hash of requirements and Python>`, made once. `pulumi` is the CLI. Raises
    subprocess.CalledProcessError; the commands' output goes to `log` (stderr when None).
    """
    venv = _virtual_environment(cache, log)
    for name, version in PLUGINS.items():
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            _write_plugin(folder, name, venv)
            argv = [pulumi, "plugin", "install", "resource", name, version, "--reinstall"]
            home = {"PULUMI_HOME": str(pulumi_home), "PULUMI_SKIP_UPDATE_CHECK": "true"}
            _run([*map(str, argv), "--file", folder], log, home)
    return venv


def _virtual_environment(cache: Path, log: IO[bytes] | None) -> Path:
    wanted = hashlib.sha256(sys.version.encode() + REQUIREMENTS.read_bytes()).hexdigest()[:12]
    venv = cache / f"venv-{wanted}"
    done = venv / "complete"
    if not done.exists():
        shutil.rmtree(venv, ignore_errors=True)
        _run([sys.executable, "-m", "venv", venv], log)
        python = venv / "bin" / "python"
        _run([python, "-m", "pip", "install", "--requirement", REQUIREMENTS], log)
        done.touch()
    return venv


def _write_plugin(folder: Path, name: str, venv: Path) -> None:
    modules = folder / "lab" / "providers"
    modules.mkdir(parents=True)
    for source in _sources():
        shutil.copy(source, modules)
    # -I: neither PYTHON* variables nor the folder of the user's project change what is imported.
    start = (
        "import runpy, sys; sys.path.insert(0, sys.argv.pop(1));"
        " runpy.run_module('lab.providers', run_name='__main__', alter_sys=True)"
    )
    python = shlex.quote(str(venv / "bin" / "python"))
    launcher = folder / f"pulumi-resource-{name}"
    launcher.write_text(
        f'#!/bin/sh\nexec {python} -I -c "{start}" "$(dirname "$(realpath "$0")")" {name} "$@"\n'
    )
    launcher.chmod(0o755)


def _sources() -> list[Path]:
    return sorted(file for file in PACKAGE.glob("*.py") if file != Path(__file__).resolve())


def _run(
    argv: Sequence[str | Path], log: IO[bytes] | None, environment: dict[str, str] | None = None
) -> None:
    subprocess.run(
        [str(word) for word in argv],
        check=True,
        env={**os.environ, **(environment or {})},
        stdin=subprocess.DEVNULL,
        stdout=log or sys.stderr,
        stderr=log or sys.stderr,
    )
