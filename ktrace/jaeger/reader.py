"""Searches that are repeated while traces arrive, without reading again what cannot change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ktrace.clock import time
from ktrace.jaeger import paging
from ktrace.jaeger.client import Jaeger, Keep
from ktrace.jaeger.model import Trace
from ktrace.jaeger.origin import Origin

_SECOND = 1_000_000
_ARRIVAL = 10 * _SECOND
"""Longer than an exporter's delay (5 s by default). What ended longer ago has arrived, unless an
exporter had to try again or a node's clock is slow: the complete searches are for these."""
_COMPLETE_AFTER = 5 * _SECOND
"""Between the first two complete searches; the time doubles with each."""

_Key = tuple[str, str, tuple[tuple[str, str], ...], int, Origin | None]


@dataclass
class _Search:
    """What is known of one search; times are in microseconds since the Unix epoch."""

    end: int
    """How far it has read."""
    looked: int
    complete_at: int
    """When it is time for the next complete search."""
    pause: int
    whole: bool
    found: dict[str, Trace] = field(default_factory=dict)


class Reader:
    """Repeats searches of one Jaeger.

    Jaeger's API tells nothing of a trace but the trace itself, and a trace may grow. So a search
    that is repeated reads the traces of which a matching span ended since shortly before the last
    time, and everything only now and then. What Jaeger has deleted since is kept: of each trace
    what ``keep`` says, if it is given.
    """

    def __init__(self, jaeger: Jaeger, keep: Keep | None = None) -> None:
        self.jaeger = jaeger
        self._keep = keep
        self._searches: dict[_Key, _Search] = {}

    def find_all(
        self,
        service: str,
        operation: str = "",
        *,
        tags: Mapping[str, str] | None = None,
        start: int,
        end: int,
        most: int,
    ) -> tuple[list[Trace], bool]:
        """Like ``Jaeger.find_all``; a search is the same again if only ``end`` is later."""
        key = (service, operation, tuple(sorted((tags or {}).items())), start, self.jaeger.stack)
        now = int(time.time() * _SECOND)
        known = self._searches.get(key)

        def read(start: int, end: int, shortest: int = 0) -> tuple[list[Trace], bool]:
            return self.jaeger.find_all(
                service,
                operation,
                tags=tags,
                start=start,
                end=end,
                most=most,
                shortest=shortest,
                keep=self._keep,
            )

        if known is None or end < known.end or now >= known.complete_at:
            found, whole = read(start, end)
            pause = 2 * known.pause if known else _COMPLETE_AFTER
            kept = known.found if known and end >= known.end else {}
            paging.add(kept, found)
            self._searches[key] = _Search(end, now, now + pause, pause, whole, kept)
        else:
            # A matching span that has arrived since ended after ``looked - arrival``: it began
            # after ``recent``, or it is long.
            arrival = _ARRIVAL + int(self.jaeger.store.late * _SECOND)
            recent = max(start, min(known.looked - 2 * arrival, known.end + 1))
            for begin, until, shortest in ((recent, end, 0), (start, recent - 1, arrival)):
                if begin <= until:
                    found, whole = read(begin, until, shortest)
                    paging.add(known.found, found)
                    known.whole &= whole
            known.end, known.looked = end, now
        search = self._searches[key]
        return list(search.found.values()), search.whole

    def forget(self) -> None:
        """Makes each search complete when it is repeated next."""
        for search in self._searches.values():
            search.complete_at = 0
