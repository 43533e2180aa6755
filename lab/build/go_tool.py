"""Builds programs from a Go module, through the Go module proxy."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lab.build.steps import Step, Workbench
from lab.errors import LabError
from lab.paths import LAB


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
        build = ("go", "build", "-mod=readonly", "-trimpath", "-buildvcs=false")
        return (*build, "-tags", self.tags, "-ldflags", flags, *self.packages)

    def compile(self, bench: Workbench, into: Path) -> None:
        """Build the programs into a folder, statically linked, so that they run in any image."""
        if shutil.which("go") is None:
            raise LabError(
                "`go` is not on PATH; the lab is built with Go 1.26.6 or newer: install it from "
                "https://go.dev/dl"
            )
        go, verb, *rest = self.command
        bench.run(
            [go, verb, "-o", f"{into}/", *rest],
            cwd=self.module,
            CGO_ENABLED="0",
            GOWORK="off",
            GOFLAGS="-modcacherw",
            GOMODCACHE=str(bench.cache.go_modules),
            GOCACHE=str(bench.cache.go_build),
        )

    def step(self) -> Step:
        """Return the step that builds the programs."""
        return Step(
            self.name,
            (self.module, *self.command),
            lambda bench: self.compile(bench, bench.out),
            minutes=self.minutes,
        )
