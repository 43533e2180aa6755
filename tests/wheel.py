"""The wheel of this checkout, built and installed as a program that uses it would have it."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

from tests.configuration import PROJECT
from tests.unit.test_architecture import tracked


def build(scratch: Path) -> Path:
    """Built from a copy: in the checkout it would leave build/, and the next wheel old files."""
    source, folder = scratch / "source", scratch / "wheel"
    for file in tracked("*"):
        (source / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(PROJECT / file, source / file)
    _pip("wheel", "--no-build-isolation", "--wheel-dir", str(folder), str(source))
    (built,) = folder.iterdir()
    return built


def install(wheel: Path, to: Path) -> Path:
    """The wheel's content in ``to``, without its dependencies."""
    _pip("install", "--target", str(to), str(wheel))
    return to


def environment(wheel: Path, to: Path) -> Path:
    """A virtual environment with the wheel, and this Python's packages as its dependencies.

    This project's editable install is not among them: only ``site`` runs what makes it one.
    """
    venv.create(to, symlinks=True)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    packages = to / "lib" / version / "site-packages"
    install(wheel, packages)
    folders = dict.fromkeys(map(sysconfig.get_path, ("purelib", "platlib")))
    (packages / "dependencies.pth").write_text("\n".join(folders))
    return to / "bin" / "python"


def _pip(command: str, *arguments: str) -> None:
    subprocess.run(
        [sys.executable, "-m", "pip", command, "--quiet", "--no-deps", "--no-index", *arguments],
        check=True,
    )
