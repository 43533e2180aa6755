"""The virtual environments of several clones with one cache."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.machine import venv
from lab.paths import Cache


@pytest.fixture
def locks(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The locks that are taken, in their order; the commands do nothing."""
    taken: list[Path] = []

    @contextlib.contextmanager
    def exclusive(path: Path, what: str) -> Iterator[None]:
        taken.append(path)
        yield

    def run(*_: object, **__: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess([], 0)

    monkeypatch.setattr(venv, "exclusive", exclusive)
    monkeypatch.setattr(subprocess, "run", run)
    return taken


def test_a_clone_waits_for_no_other_clone_and_overwrites_no_log_of_it(
    locks: list[Path], cache: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for clone in (tmp_path / "one", tmp_path / "two", tmp_path / "one"):
        (clone / ".venv").mkdir(parents=True, exist_ok=True)
        for file in ("requirements.txt", "pyproject.toml"):
            (clone / file).touch()
        monkeypatch.setattr(venv, "PROJECT", clone)
        monkeypatch.setattr(venv, "VENV", clone / ".venv")
        monkeypatch.setattr(venv, "SCRIPTS", clone / ".venv" / "bin")
        venv.make(cache, "requirements.txt")
    one, two, again = locks
    assert one == again != two
    assert len(list(cache.logs.iterdir())) == 2
