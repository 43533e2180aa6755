"""A clock that a test moves, so that no deadline depends on the machine's speed."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import pytest


class Clock:
    """Stands in for the module ``time``: it moves when it is told to, and while something sleeps.

    ``while_sleeping`` is called for every sleep: what happens meanwhile. ``set_back`` is by how
    many seconds somebody has set back the time of day.
    """

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self.now = now
        self.set_back = 0.0
        self.while_sleeping: Callable[[], object] = lambda: None

    def time(self) -> float:
        return self.now - self.set_back

    def time_ns(self) -> int:
        return int(self.time() * 1_000_000_000)

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.while_sleeping()
        self.now += seconds

    def drive(self, monkeypatch: pytest.MonkeyPatch, *modules: ModuleType) -> Clock:
        """Makes it the clock of ``modules``; threads and other modules keep the machine's."""
        for module in modules:
            monkeypatch.setattr(module, "time", self)
        return self
