"""Shows that work of more than a moment goes on."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from collections.abc import Iterator
from typing import TextIO

QUIET_SECONDS = 2.0
SECONDS_BETWEEN_LINES = 30.0
COLUMNS = 80
"""The width of a terminal that does not tell it."""


@contextlib.contextmanager
def progress(what: str, minutes: float = 0, stream: TextIO | None = None) -> Iterator[None]:
    """Show on stderr that `what` goes on, if it takes longer than two seconds.

    `minutes` is the time that it takes with empty caches, as far as known. A terminal gets one live
    line. Anything else, such as a CI log, gets a line at the start, one every half minute and one
    at the end.
    """
    out = stream or sys.stderr
    live = out.isatty()
    erase = "\r\033[K" if live else ""
    begun = time.monotonic()
    ended = threading.Event()
    shown = threading.Event()

    def clock(seconds: float) -> str:
        return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"

    def tick() -> None:
        wait = QUIET_SECONDS
        while not ended.wait(wait):
            seconds = time.monotonic() - begun
            took, about = clock(seconds), estimate(minutes, seconds)
            if live:
                out.write(f"{erase}{live_line(what, took, about, _columns(out))}")
            else:
                out.write(f"{f'{what} {took} {about}'.rstrip()}\n")
            out.flush()
            shown.set()
            wait = 1.0 if live else SECONDS_BETWEEN_LINES

    ticker = threading.Thread(target=tick, daemon=True)
    ticker.start()
    outcome = "failed"
    try:
        yield
        outcome = "done"
    except KeyboardInterrupt:
        outcome = "stopped"
        raise
    finally:
        ended.set()
        ticker.join()
        if shown.is_set():
            out.write(f"{erase}{what}: {outcome} in {clock(time.monotonic() - begun)}\n")
            out.flush()


def estimate(minutes: float, seconds: float) -> str:
    """Return how long the work takes, or nothing once `seconds` have exceeded that."""
    return f"(about {minutes:.0f} min cold)" if minutes >= 1 and seconds <= 60 * minutes else ""


def live_line(what: str, took: str, about: str, columns: int) -> str:
    """Return the line cut to less than `columns`: first without `about`, then without `what`.

    A longer line would wrap, and only its last row can be erased.
    """
    room = columns - 1
    line = f"{what} {took} {about}".rstrip()
    if len(line) <= room:
        return line
    return f"{what[: max(room - len(took) - 1, 0)]} {took}".lstrip()[: max(room, 0)]


def _columns(terminal: TextIO) -> int:
    try:
        return os.get_terminal_size(terminal.fileno()).columns or COLUMNS
    except OSError:
        return COLUMNS
