"""A root file system of Debian packages as a step: what a program in a container needs."""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path

from lab.build.steps import Step
from lab.build.workbench import Workbench
from lab.machine import apt
from lab.node import debian
from lab.paths import LAB

_ALWAYS = ("base-files", "base-passwd")
_UNWANTED = (
    "dev/*", "var/cache/*", "var/log/*", "usr/share/locale/*", "usr/share/doc/*",
    "usr/share/man/*", "usr/share/info/*", "usr/share/lintian/*",
)  # fmt: skip
_TAR = "tree.tar"


def tree(name: str, *packages: str) -> Step:
    """Return the step `name`, whose output has `packages` and all that they need."""

    def build(bench: Workbench) -> None:
        downloads = bench.out / "apt"
        fetched = apt.fetch(
            bench,
            (*_ALWAYS, *packages),
            downloads,
            optional=("usr-is-merged",),
            installed=apt.NOTHING,
        )
        with (bench.out / _TAR).open("wb") as tar:
            debian.write(fetched, lambda name: debian.is_within(name, _UNWANTED), {}, tar)
        shutil.rmtree(downloads)

    inputs: tuple[str | Path, ...] = (*packages, Path(__file__), LAB / "node" / "debian.py")
    return Step(name, inputs, build, minutes=0.5)


def add(output: Path, archive: tarfile.TarFile) -> None:
    """Add the files of a tree's output to an archive that is being written."""
    with tarfile.open(output / _TAR) as packages:
        for entry in packages:
            archive.addfile(entry, packages.extractfile(entry) if entry.isreg() else None)
