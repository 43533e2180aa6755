"""A lock that one run of the lab holds at a time."""

from __future__ import annotations

import fcntl
import threading
from pathlib import Path
from typing import IO

import pytest

from lab.locks import exclusive


def is_free(path: Path, kind: int = fcntl.LOCK_EX) -> bool:
    with path.open("a") as lock:
        try:
            fcntl.flock(lock, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def test_a_lock_is_held_against_everyone_until_its_end(tmp_path: Path) -> None:
    path = tmp_path / "new" / "lock"
    with exclusive(path):
        assert not is_free(path)
        assert not is_free(path, fcntl.LOCK_SH)
    assert is_free(path)


def test_a_second_run_says_that_it_waits_and_then_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    waits, entered = threading.Event(), threading.Event()
    flock = fcntl.flock

    def observed(lock: IO[str], operation: int) -> None:
        if not operation & fcntl.LOCK_NB:
            waits.set()
        flock(lock, operation)

    def second_run() -> None:
        with exclusive(path):
            entered.set()

    monkeypatch.setattr(fcntl, "flock", observed)
    path = tmp_path / "lock"
    with exclusive(path):
        run = threading.Thread(target=second_run)
        run.start()
        assert waits.wait(30)
        assert not entered.is_set()
    run.join(30)
    assert entered.is_set()
    assert capsys.readouterr().err == f"Waiting for another run that holds {path}\n"
