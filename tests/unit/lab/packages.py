"""Small Debian packages."""

from __future__ import annotations

import subprocess
from pathlib import Path


def package(folder: Path, name: str, *files: str) -> Path:
    """Build a package that holds its own name in every file; needs dpkg-deb."""
    tree = folder / f"{name}.d"
    for file in files:
        (tree / file).parent.mkdir(parents=True, exist_ok=True)
        (tree / file).write_text(name)
    (tree / "DEBIAN").mkdir(parents=True)
    fields = {"Package": name, "Version": "1", "Architecture": "all", "Maintainer": "lab <l@b.c>"}
    control = "".join(f"{key}: {value}\n" for key, value in fields.items())
    (tree / "DEBIAN/control").write_text(f"{control}Description: of a test\n")
    built = folder / f"{name}_1_all.deb"
    command = ["dpkg-deb", "--root-owner-group", "--build", str(tree), str(built)]
    subprocess.run(command, check=True, capture_output=True)
    return built
