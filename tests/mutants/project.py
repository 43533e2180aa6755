"""The code that is mutated, and copies of the project in which that happens."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
PACKAGES = ("runtime_observability/core", "runtime_observability/host", "components", "ktrace")
TESTS = ("tests/unit", "tests/graph")
_SURVIVORS = "tests/mutants/survivors.toml"
_OTHER_TESTS = ("tests/unit/lab/", "tests/unit/mutants/")
"""Tests of what is not mutated: they would only cost time."""


def files() -> list[str]:
    """Every file of the project that git does not ignore, relative to its folder."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout
    return sorted(file for file in set(listed.split("\0")) if file and (PROJECT / file).is_file())


def mutated_files(all_files: list[str]) -> list[str]:
    return [
        file
        for file in all_files
        if package(file) and file.endswith((".py", ".sh")) and (PROJECT / file).stat().st_size
    ]


def package(file: str) -> str:
    """The one of PACKAGES that holds ``file``; empty for another file."""
    return next((name for name in PACKAGES if file.startswith(f"{name}/")), "")


def test_files(all_files: list[str]) -> list[str]:
    """The files of TESTS that pytest collects, the largest first."""
    found = [
        file
        for file in all_files
        if file.startswith(tuple(f"{place}/" for place in TESTS))
        and not file.startswith(_OTHER_TESTS)
        and Path(file).name.startswith("test_")
        and file.endswith(".py")
    ]
    return sorted(found, key=lambda file: -(PROJECT / file).stat().st_size)


def digest(all_files: list[str]) -> str:
    """Another one after any change of the project: results of before no longer count.

    The list of survivors is left out: a reason changes no result.
    """
    together = hashlib.sha256()
    for file in all_files:
        if file == _SURVIVORS:
            continue
        content = hashlib.sha256((PROJECT / file).read_bytes()).hexdigest()
        together.update(f"{file} {content}\n".encode())
    return together.hexdigest()[:16]


def copy(all_files: list[str], folder: Path) -> None:
    """Copies the project to ``folder``; the copy is a git repository, which some tests read.

    Links give it the layout of a wheel as well: else `runtime_observability.components` would be
    that of the project that is installed, without its mutants.
    """
    for file in all_files:
        target = folder / file
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(PROJECT / file, target)
    for name in ("components", "config_templates"):
        (folder / "runtime_observability" / name).symlink_to(Path("..") / name)
    subprocess.run(["git", "init", "--quiet", str(folder)], check=True)


def restore(folder: Path, sources: dict[str, str]) -> None:
    """Undoes what a killed run has left in a copy."""
    for file, text in sources.items():
        if (folder / file).read_text() != text:
            (folder / file).write_text(text)
