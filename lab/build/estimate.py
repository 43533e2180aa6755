"""How long a build still takes, from how long its finished parts have taken."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping

TRUSTED_SHARE = 0.1
"""The share of the work after which its pace counts in place of the expected one."""
GREATEST_SHARE = 0.8
"""So much of a late part counts as done: a quarter of the time that it has taken is left."""


class Estimate:
    """The time that is left of parts that are built side by side.

    `expected` has each part's share of the whole: its minutes where nothing else slows it down.
    """

    def __init__(
        self, expected: Mapping[str, float], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._expected = dict(expected)
        self._clock = clock
        self._begun = clock()
        self._running: dict[str, float] = {}
        self._finished: set[str] = set()

    def begins(self, part: str) -> None:
        """A part's build begins now."""
        self._running[part] = self._clock()

    def ends(self, part: str) -> None:
        """A part is built."""
        self._running.pop(part, None)
        self._finished.add(part)

    @property
    def finished(self) -> int:
        """How many parts are built."""
        return len(self._finished)

    def minutes_left(self) -> float:
        """Return the minutes until all is built, at the pace that has been seen so far."""
        whole = sum(self._expected.values())
        done = self._sum(self._finished) + sum(map(self._done_of, list(self._running.items())))
        elapsed = (self._clock() - self._begun) / 60
        pace = elapsed / done if done > TRUSTED_SHARE * whole else 1.0
        return (whole - done) * pace

    def _sum(self, parts: Iterable[str]) -> float:
        return sum(self._expected[part] for part in parts)

    def _done_of(self, running: tuple[str, float]) -> float:
        part, begun = running
        expected = self._expected[part]
        share = (self._clock() - begun) / 60 / len(self._running or "1")
        return min(share, GREATEST_SHARE * expected)


def in_words(minutes: float) -> str:
    """Return a remaining time: "about 12 min left", "less than a minute left"."""
    return f"about {minutes:.0f} min left" if minutes >= 1 else "less than a minute left"
