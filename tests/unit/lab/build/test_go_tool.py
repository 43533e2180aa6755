"""How a program is built from its Go module."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from lab.build.go_tool import GoTool, oldest_go
from lab.build.workbench import Workbench
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
    "-gcflags=all=-dwarf=false",
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


@pytest.fixture
def go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """A program that reports the Go release that it is told to, alone on PATH."""
    program = tmp_path / "bin" / "go"
    program.parent.mkdir()
    monkeypatch.setenv("PATH", str(program.parent))

    def report(line: str) -> Path:
        program.write_text(f"#!/bin/sh\necho '{line}'\n")
        program.chmod(0o755)
        return program

    return report


def test_a_build_has_its_own_caches_no_c_and_much_memory_before_it_collects_garbage(
    cache: Cache, tmp_path: Path, go: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Modules are made writable, so that the cache can be removed as a folder."""
    memory = {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 6 * 2**20}
    monkeypatch.setattr(os, "sysconf", memory.__getitem__)
    go("go version go99.0 linux/amd64")
    bench = Bench(cache)
    TOOL.compile(cast(Workbench, bench), tmp_path)
    program, build, *rest = COMMAND
    assert bench.runs == [
        (
            [program, build, "-o", f"{tmp_path}/", *rest],
            LAB / "go" / "thing",
            {
                "CGO_ENABLED": "0",
                "GOWORK": "off",
                "GOFLAGS": "-modcacherw",
                "GOMODCACHE": str(cache.root / "go" / "mod"),
                "GOCACHE": str(cache.root / "go" / "build"),
                "GOGC": "off",
                "GOMEMLIMIT": f"{2 * 2**30}B",
            },
        )
    ]


def test_without_go_the_build_says_where_it_is(
    cache: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(LabError, match=r"`go` is not on PATH.*https://go\.dev/dl"):
        TOOL.compile(cast(Workbench, Bench(cache)), tmp_path)


@pytest.mark.parametrize("release", ["1.19.8", "1.26.5", "1.26rc1", "devel"])
def test_an_old_go_is_refused_before_anything_is_built(
    cache: Cache, tmp_path: Path, go: Callable[[str], Path], release: str
) -> None:
    program = go(f"go version go{release} linux/amd64")
    bench = Bench(cache)
    with pytest.raises(LabError) as refused:
        TOOL.compile(cast(Workbench, bench), tmp_path)
    _, oldest = oldest_go()
    assert str(refused.value) == (
        f"{program} reports `go version go{release} linux/amd64`, and the lab is built with Go "
        f"{oldest} or newer: install it from https://go.dev/dl"
    )
    assert bench.runs == []


def test_a_go_of_the_oldest_release_or_newer_will_do(
    cache: Cache, tmp_path: Path, go: Callable[[str], Path]
) -> None:
    _, oldest = oldest_go()
    for release in (oldest, "1.99rc1", "2.0-devel_0a1b2c3"):
        go(f"go version go{release} linux/amd64")
        bench = Bench(cache)
        TOOL.compile(cast(Workbench, bench), tmp_path)
        assert len(bench.runs) == 1


def test_the_oldest_go_is_the_newest_that_a_module_needs() -> None:
    module, oldest = oldest_go()
    assert f"\ngo {oldest}\n" in (module / "go.mod").read_text()
    assert oldest.startswith("1.2")
