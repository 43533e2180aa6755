"""Shows that work of more than a moment goes on: what runs, for how long, and how long it takes."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Self, TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

QUIET_SECONDS = 2.0
SECONDS_BETWEEN_LINES = 30.0


class Display:
    """Shows the running items on stderr, each once it has taken two seconds.

    A terminal gets one live line for each, cut to its width, under a line with `summary`. Anything
    else, such as a CI log, gets a line at the start, one every half minute and one at the end.
    Items may begin and end in several threads.
    """

    def __init__(self, summary: Callable[[], str] = str, stream: TextIO | None = None) -> None:
        self._console = Console(file=stream or sys.stderr, highlight=False)
        self._summary = summary
        self._running: dict[str, float] = {}
        self._ended = threading.Event()
        self._ticker = threading.Thread(target=self._write_lines, daemon=True)
        # Not transient: its last picture is empty, as no item runs any more.
        self._live = Live(console=self._console, get_renderable=self._picture, refresh_per_second=2)

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        else:
            self._ticker.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._running.clear()
        self._ended.set()
        if self._console.is_terminal:
            self._live.stop()
        else:
            self._ticker.join()

    @contextlib.contextmanager
    def item(self, what: str) -> Iterator[None]:
        """Show that `what` goes on, and how it ended if it took longer than two seconds."""
        begun = self._running[what] = time.monotonic()
        outcome = "failed"
        try:
            yield
            outcome = "done"
        except (KeyboardInterrupt, InterruptedError):
            outcome = "stopped"
            raise
        finally:
            self._running.pop(what, None)
            seconds = time.monotonic() - begun
            if seconds >= QUIET_SECONDS:
                self._print(f"{what}: {outcome} in {clock(seconds)}")

    def _shown(self) -> list[str]:
        now = time.monotonic()
        running = list(self._running.items())
        return [
            f"{clock(now - begun)} {what}"
            for what, begun in running
            if now - begun >= QUIET_SECONDS
        ]

    def _picture(self) -> Group:
        shown = self._shown()
        lines = [*shown, self._summary()] if shown else []
        return Group(*(Text(line, no_wrap=True, overflow="ellipsis") for line in lines if line))

    def _write_lines(self) -> None:
        wait = QUIET_SECONDS
        while not self._ended.wait(wait):
            shown = self._shown()
            if shown:
                self._print("; ".join(filter(None, [*shown, self._summary()])))
            wait = SECONDS_BETWEEN_LINES if shown else QUIET_SECONDS

    def _print(self, line: str) -> None:
        self._console.print(Text(line), soft_wrap=True)


@contextlib.contextmanager
def progress(what: str, stream: TextIO | None = None) -> Iterator[None]:
    """Show that one thing goes on, if it takes longer than two seconds."""
    with Display(stream=stream) as display, display.item(what):
        yield


def clock(seconds: float) -> str:
    """Return a duration as minutes and seconds: 1:05."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
