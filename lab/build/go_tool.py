"""Builds programs from a Go module, through the Go module proxy."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.build.steps import Step
from lab.build.workbench import Workbench
from lab.errors import LabError
from lab.paths import LAB

NO_DEBUG_DATA = ("-gcflags=all=-dwarf=false",)
"""The linker leaves it out in any case (-s -w); making it takes a tenth of the compiler's time."""
SHARE_OF_MEMORY = 12
"""A compiler collects garbage only above this part of the memory: that saves a sixth of its time.

Two builds run side by side, each with as many compilers as there are processors.
"""


@dataclass(frozen=True)
class GoTool:
    """Programs that are built from one module in lab/go/."""

    name: str
    packages: tuple[str, ...]
    minutes: float
    variables: Mapping[str, str]
    """Go variables set by the linker: the version that a program reports."""
    tags: str = ""
    folder: str = ""
    """The folder of its go.mod in lab/go/, where that has another name than the tool."""

    @property
    def module(self) -> Path:
        """The folder of its go.mod."""
        return LAB / "go" / (self.folder or self.name)

    @property
    def command(self) -> tuple[str, ...]:
        """The build command without the output folder."""
        flags = " ".join(["-s -w", *(f"-X {key}={value}" for key, value in self.variables.items())])
        build = ("go", "build", "-mod=readonly", "-trimpath", "-buildvcs=false", *NO_DEBUG_DATA)
        return (*build, "-tags", self.tags, "-ldflags", flags, *self.packages)

    def compile(self, bench: Workbench, into: Path) -> None:
        """Build the programs into a folder, statically linked, so that they run in any image."""
        _, verb, *rest = self.command
        run(bench, [verb, "-o", f"{into}/", *rest], self.module)

    def step(self) -> Step:
        """Return the step that builds the programs."""
        return Step(
            self.name,
            (self.module, *self.command),
            lambda bench: self.compile(bench, bench.out),
            minutes=self.minutes,
        )


def run(bench: Workbench, arguments: Sequence[str | Path], cwd: Path, **variables: str) -> None:
    """Run the go command with the lab's caches; every build of a Go program goes through here.

    Raises LabError if Go is missing or too old, and if the command fails.
    """
    environment = {
        "CGO_ENABLED": "0",
        "GOWORK": "off",
        "GOFLAGS": "-modcacherw",
        "GOMODCACHE": str(bench.cache.go_modules),
        "GOCACHE": str(bench.cache.go_build),
        "GOGC": "off",
        "GOMEMLIMIT": f"{_memory() // SHARE_OF_MEMORY}B",
    }
    _check_version(environment)
    bench.run(["go", *arguments], cwd=cwd, **environment, **variables)


def oldest_go() -> tuple[Path, str]:
    """Return the module that needs the newest Go, and the number of that release."""
    needs = {
        file.parent: release[1]
        for file in (LAB / "go").glob("*/go.mod")
        if (release := re.search(r"^go (\S+)$", file.read_text(encoding="utf-8"), re.MULTILINE))
    }
    return max(needs.items(), key=lambda need: _numbers(need[1]))


def _check_version(environment: Mapping[str, str]) -> None:
    module, oldest = oldest_go()
    needed = f"the lab is built with Go {oldest} or newer: install it from https://go.dev/dl"
    program = shutil.which("go")
    if program is None:
        raise LabError(f"`go` is not on PATH, and {needed}")
    # In the module's folder an older Go downloads the release that go.mod names, if it may.
    done = subprocess.run(
        [program, "version"],
        cwd=module,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    found = re.match(r"go version go(\S+)", done.stdout)
    if found is None or _numbers(found[1]) < _numbers(oldest):
        reported = f"{done.stdout}{done.stderr}".strip() or "nothing"
        raise LabError(f"{program} reports `{reported}`, and {needed}")


def _memory() -> int:
    """Return the machine's memory in bytes."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _numbers(release: str) -> tuple[int, ...]:
    """Return a Go release as numbers: 1.26.6, 1.27rc1 and 1.27-devel_0a1b2c3 are such releases."""
    numbers = re.match(r"\d+(\.\d+)*", release)
    return tuple(map(int, numbers[0].split("."))) if numbers else ()
