"""Locks between runs, and what a waiting run says."""

from __future__ import annotations

import errno
import fcntl
import os
import threading
import time
from pathlib import Path

import pytest

from lab.locks import exclusive
from lab.paths import PROJECT


def is_free(path: Path, kind: int = fcntl.LOCK_EX) -> bool:
    with path.open("a") as lock:
        try:
            fcntl.flock(lock, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def test_a_lock_is_held_against_everyone_until_its_end(tmp_path: Path) -> None:
    path = tmp_path / "new" / "lock"
    with exclusive(path, "the build of pulumi"):
        assert not is_free(path)
        assert not is_free(path, fcntl.LOCK_SH)
    assert is_free(path)


def test_a_run_that_waits_says_for_what_who_holds_it_and_how_to_go_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lock, entered = tmp_path / "folder" / "lock", threading.Event()

    def second_run() -> None:
        with exclusive(lock, "the build of pulumi"):
            entered.set()

    waiting = threading.Thread(target=second_run, daemon=True)
    with exclusive(lock, "the build of pulumi"):
        waiting.start()
        deadline, said = time.monotonic() + 10, ""
        while "\n" not in said and time.monotonic() < deadline:
            time.sleep(0.01)
            said += capsys.readouterr().err
        assert not entered.is_set()
    waiting.join(10)
    assert entered.is_set()
    assert said == (
        f"Waiting for the build of pulumi: process {os.getpid()} of {PROJECT} is at work on it. "
        "This run continues when that process ends. Ctrl-C stops this run; run the same command "
        f"again to continue. Lock: {lock}\n"
    )


def test_a_free_lock_is_taken_without_a_word_and_names_nobody_afterwards(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):
        with exclusive(tmp_path / "lock", "the build of pulumi"):
            assert str(os.getpid()) in (tmp_path / "lock").read_text()
        assert (tmp_path / "lock").read_text() == ""
    assert capsys.readouterr().err == ""


def test_a_full_disk_prevents_no_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", write)
    with exclusive(tmp_path / "lock", "the private Docker daemon"):
        pass


def test_a_thread_that_waits_ends_when_its_work_is_given_up(tmp_path: Path) -> None:
    given_up = threading.Event()
    given_up.set()
    with (
        exclusive(tmp_path / "lock", "the build of pulumi"),
        pytest.raises(InterruptedError),
        exclusive(tmp_path / "lock", "the build of pulumi", given_up),
    ):
        pass
