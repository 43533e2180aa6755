"""The period that an answer is about: the one asked for, and the one seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ktrace.activity.requests import ApiRequest

_QUIET = 10_000_000
"""A cluster's own leases are renewed more often than this, in microseconds."""


@dataclass(frozen=True)
class Window:
    """Times are in microseconds since the Unix epoch."""

    asked: int
    oldest: int | None
    """When the first request of the period that Jaeger has ended; None if it has none.

    Its spans are sent when they end: of a watch that lasted for minutes Jaeger has the beginning,
    too, but not the other requests of that time.
    """
    until: int
    complete: bool
    """False if there were more traces than are read."""
    lost: str = ""
    """Why requests of the period, or of what was asked for, may be missing; empty if none is known
    to be."""

    @classmethod
    def seen(
        cls, requests: Sequence[ApiRequest], asked: int, until: int, *, complete: bool
    ) -> Window:
        ends = (request.start + request.duration for request in requests)
        return cls(asked, min(ends, default=None), until, complete)

    @property
    def reaches_back(self) -> bool:
        return self.oldest is not None and self.oldest - self.asked <= _QUIET

    @property
    def seconds(self) -> float:
        """What rates are of: from the oldest one's end, unless that is as old as was asked for."""
        begin = self.asked if self.reaches_back or self.oldest is None else self.oldest
        return max(0, self.until - begin) / 1_000_000
