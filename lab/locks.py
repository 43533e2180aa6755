"""Locks between runs of the lab on one machine."""

from __future__ import annotations

import contextlib
import fcntl
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from lab.paths import PROJECT

SECONDS_BETWEEN_TRIES = 0.2


@contextlib.contextmanager
def exclusive(path: Path, what: str, given_up: threading.Event | None = None) -> Iterator[None]:
    """Hold the lock file `path`; the kernel releases it when this process ends in any way.

    A run that has to wait says that it waits for `what`, and which process holds the lock. The wait
    of a thread, which no signal interrupts, ends with InterruptedError once `given_up` is set.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab", buffering=0) as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            # A holder writes its name after it has the lock, so the file can still be empty.
            holder = path.read_text(encoding="utf-8") or "another process"
            print(
                f"Waiting for {what}: {holder} is at work on it. This run continues when that "
                "process ends. Ctrl-C stops this run; run the same command again to continue. "
                f"Lock: {path}",
                file=sys.stderr,
                flush=True,
            )
            _wait_for(lock.fileno(), given_up or threading.Event())
        lock.truncate(0)  # a killed holder's name may be in it
        with contextlib.suppress(OSError):  # on a full disk `make clean` still has to work
            os.write(lock.fileno(), f"process {os.getpid()} of {PROJECT}".encode())
        try:
            yield
        finally:
            lock.truncate(0)


def _wait_for(lock: int, given_up: threading.Event) -> None:
    while not given_up.wait(SECONDS_BETWEEN_TRIES):
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
    raise InterruptedError
