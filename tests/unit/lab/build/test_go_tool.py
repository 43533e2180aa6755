"""How a program is built from its Go module."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, cast

import pytest

from lab.build.go_tool import GoTool
from lab.build.steps import Workbench
from lab.errors import LabError
from lab.paths import LAB, Cache

TOOL = GoTool(
    "thing",
    ("example.com/cmd/a", "example.com/cmd/b"),
    minutes=1,
    variables={"example.com/version.Version": "v1"},
    tags="no_x",
)
COMMAND = (
    "go",
    "build",
    "-mod=readonly",
    "-trimpath",
    "-buildvcs=false",
    "-tags",
    "no_x",
    "-ldflags",
    "-s -w -X example.com/version.Version=v1",
    "example.com/cmd/a",
    "example.com/cmd/b",
)


class Bench:
    """A workbench that keeps the commands, instead of running them."""

    def __init__(self, cache: Cache) -> None:
        self.cache = cache
        self.runs: list[tuple[list[str], Path, dict[str, str]]] = []

    def run(self, argv: list[Any], *, cwd: Path, **environment: str) -> None:
        self.runs.append(([str(word) for word in argv], cwd, environment))


def test_a_build_takes_the_versions_of_go_sum_and_leaves_no_path_in_the_program() -> None:
    assert TOOL.command == COMMAND
    step = TOOL.step()
    assert step.inputs == (LAB / "go" / "thing", *COMMAND), "another flag is another output"


def test_a_build_has_its_own_caches_and_no_c(
    cache: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Modules are made writable, so that the cache can be removed as a folder."""
    monkeypatch.setattr(shutil, "which", lambda _: "/usr/bin/go")
    bench = Bench(cache)
    TOOL.compile(cast(Workbench, bench), tmp_path)
    go, build, *rest = COMMAND
    assert bench.runs == [
        (
            [go, build, "-o", f"{tmp_path}/", *rest],
            LAB / "go" / "thing",
            {
                "CGO_ENABLED": "0",
                "GOWORK": "off",
                "GOFLAGS": "-modcacherw",
                "GOMODCACHE": str(cache.root / "go" / "mod"),
                "GOCACHE": str(cache.root / "go" / "build"),
            },
        )
    ]


def test_without_go_the_build_says_where_it_is(
    cache: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(LabError, match=r"`go` is not on PATH.*https://go\.dev/dl"):
        TOOL.compile(cast(Workbench, Bench(cache)), tmp_path)
