"""One look at a Jaeger: what lies within a search that was read whole is not searched for again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ktrace.jaeger.client import Jaeger
from ktrace.jaeger.model import Trace
from ktrace.jaeger.reader import Reader
from ktrace.jaeger.search import Search


@dataclass(frozen=True)
class _Read:
    """A search from ``start`` to ``end``, both included, and all that it found."""

    search: Search
    start: int
    end: int
    traces: list[Trace]

    def covers(self, search: Search, start: int, end: int) -> bool:
        return self.start <= start and end <= self.end and self.search.includes(search)


class Once:
    """Searches a Jaeger, or whoever reads it, for as long as an answer may be old."""

    def __init__(self, jaeger: Jaeger | Reader) -> None:
        self._jaeger = jaeger
        self.client = jaeger.jaeger if isinstance(jaeger, Reader) else jaeger
        self._read: list[_Read] = []

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
        """Like ``Jaeger.find_all``."""
        search = self.client.search(service, operation, tags)
        wider = next((read for read in self._read if read.covers(search, start, end)), None)
        if wider:
            return [
                trace
                for trace in wider.traces
                if trace.spans[0].start <= end
                and start <= trace.spans[-1].start
                and any(start <= span.start <= end for span in search.matching(trace))
            ], True
        traces, whole = self._jaeger.find_all(
            service, operation, tags=tags, start=start, end=end, most=most
        )
        if whole:
            self._read.append(_Read(search, start, end, traces))
        return traces, whole
