"""`make clean`, with and without stacks in the private daemon."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lab.commands import clean
from lab.errors import LabError
from lab.machine.docker import daemon
from lab.paths import PROJECT, Cache

DOCKER = """#!/bin/sh
echo "$*" >> "{calls}"
case "$*" in
  images*) echo image ;;
esac
"""


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file with the calls of a docker that has a node image."""
    calls = tmp_path / "calls"
    calls.touch()
    (tmp_path / "docker").write_text(DOCKER.format(calls=calls))
    (tmp_path / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    return calls


@pytest.fixture(autouse=True)
def venv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A .venv in place of the project's own."""
    folder = tmp_path / "venv"
    folder.mkdir()
    monkeypatch.setattr(clean, "VENV", folder)
    monkeypatch.setattr(clean, "MADE_BY_LAB", folder / "made-by-lab")
    return folder


def test_nothing_is_removed_before_a_refusal(
    cache: Cache, calls: Path, venv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(daemon, "labels", lambda *_: ["dev", "lab"])
    (venv / "made-by-lab").touch()
    cache.docker.mkdir(parents=True)
    before = sorted(cache.root.rglob("*"))
    with pytest.raises(LabError, match=r"still holds stacks \(dev, lab\)"):
        clean.run(cache)
    assert calls.read_text() == ""
    assert sorted(cache.root.rglob("*")) == before
    assert venv.exists()


def test_without_a_cache_the_node_images_are_removed(cache: Cache, calls: Path) -> None:
    assert clean.run(cache) == 0
    assert "image rm image" in calls.read_text()


@pytest.mark.parametrize("ours", [True, False])
def test_the_virtual_environment_is_removed_only_if_the_lab_made_it(
    cache: Cache, calls: Path, venv: Path, ours: bool
) -> None:
    if ours:
        (venv / "made-by-lab").touch()
    cache.root.mkdir()
    assert clean.run(cache) == 0
    assert venv.exists() == (not ours)
    assert not cache.root.exists()


def test_clean_and_stop_need_no_package() -> None:
    """They run on the system's Python, also when .venv is missing or damaged."""
    bare = [sys.executable, "-S", "-c", "import lab.commands.clean, lab.commands.stop"]
    subprocess.run(bare, cwd=PROJECT, check=True)
