"""`make clean`, with and without stacks in the private daemon."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lab.commands import clean
from lab.errors import LabError
from lab.machine.docker import daemon
from lab.paths import Cache

DOCKER = """#!/bin/sh
echo "$*" >> "{calls}"
case "$*" in
  *ps*) echo container ;;
  images*) echo image ;;
esac
"""


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file with the calls of a docker that has a node image and a container of a stack."""
    calls = tmp_path / "calls"
    (tmp_path / "docker").write_text(DOCKER.format(calls=calls))
    (tmp_path / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    return calls


def test_nothing_is_removed_before_a_refusal(
    cache: Cache, calls: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(daemon, "answers", lambda _: True)
    cache.root.mkdir()
    with pytest.raises(LabError, match="still holds stacks"):
        clean.run(cache)
    assert " ps " in calls.read_text()
    assert "image rm" not in calls.read_text()
    assert cache.root.exists()


def test_without_a_cache_the_node_images_are_removed(cache: Cache, calls: Path) -> None:
    assert clean.run(cache) == 0
    assert "image rm image" in calls.read_text()
