"""The clock of an answer: this machine's, or that of the recording that is answered from.

``from ktrace.clock import time`` stands in for ``import time`` wherever an answer depends on it.
"""

from __future__ import annotations

import time as machine
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Source(Protocol):
    """What a clock must tell; the module ``time`` is one."""

    def time(self) -> float: ...

    def monotonic(self) -> float: ...

    def sleep(self, seconds: float, /) -> None: ...


class Clock:
    """The machine's, until ``use`` names another source."""

    def __init__(self) -> None:
        self._source: Source = machine

    def use(self, source: Source | None) -> None:
        """From now on what ``source`` tells counts; None is the machine."""
        self._source = source or machine

    @contextmanager
    def at(self, moment: float) -> Iterator[None]:
        """In the block it is ``moment``, a Unix time in seconds: what was looked at then."""
        before, self._source = self._source, Past(moment, moment)
        try:
            yield
        finally:
            self._source = before

    def time(self) -> float:
        """Seconds since the Unix epoch."""
        return self._source.time()

    def monotonic(self) -> float:
        return self._source.monotonic()

    def sleep(self, seconds: float) -> None:
        self._source.sleep(seconds)


time = Clock()


class Still:
    """Does not move between two sleeps: all that one look reads has one time."""

    def __init__(self) -> None:
        self.first = self.last = machine.time()

    def time(self) -> float:
        return self.last

    def monotonic(self) -> float:
        return machine.monotonic()

    def sleep(self, seconds: float) -> None:
        machine.sleep(seconds)
        self.last = machine.time()


class Past:
    """That of a recording which began to look at ``first`` and looked at ``last`` for the last
    time.

    Whoever sleeps has waited long enough: nothing can arrive any more.
    """

    def __init__(self, first: float, last: float) -> None:
        self._now, self._last, self._slept = first, last, 0.0

    def time(self) -> float:
        return self._now

    def monotonic(self) -> float:
        return self._slept

    def sleep(self, _: float) -> None:
        self._now = self._last
        self._slept += 1e9
