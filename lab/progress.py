"""Shows that work of more than a moment goes on."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Iterator
from typing import TextIO

QUIET_SECONDS = 2.0
SECONDS_BETWEEN_LINES = 30.0


@contextlib.contextmanager
def progress(what: str, about: str = "", stream: TextIO | None = None) -> Iterator[None]:
    """Show on stderr that `what` goes on, if it takes longer than two seconds.

    A terminal gets one live line. Anything else, such as a CI log, gets a line at the start, one
    every half minute and one at the end.
    """
    out = stream or sys.stderr
    live = out.isatty()
    erase = "\r\033[K" if live else ""
    begun = time.monotonic()
    ended = threading.Event()
    shown = threading.Event()

    def clock() -> str:
        seconds = int(time.monotonic() - begun)
        return f"{seconds // 60}:{seconds % 60:02d}"

    def tick() -> None:
        wait = QUIET_SECONDS
        while not ended.wait(wait):
            text = " ".join(filter(None, [what, clock(), about and f"({about})"]))
            out.write(f"{erase}{text}" if live else f"{text}\n")
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
            out.write(f"{erase}{what}: {outcome} in {clock()}\n")
            out.flush()
