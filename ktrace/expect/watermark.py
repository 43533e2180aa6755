"""Whether what was on its way to Jaeger when an assertion began has arrived there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ktrace.expect import matching
from ktrace.expect.schema import Expectation
from ktrace.jaeger import Jaeger, Span

_HOUR = 3_600_000_000


class Watermark:
    """A component exports its spans in the order in which they end.

    So once a span has arrived that began after ``begin``, in microseconds since the Unix epoch, all
    have arrived that ended before. The component's clock says when it began.
    """

    def __init__(self, jaeger: Jaeger, begin: int) -> None:
        self._jaeger = jaeger
        self._begin = begin
        self._passed: set[_Source] = set()

    def missing(self, expectation: Expectation) -> list[str]:
        """The selected components without such a span so far, in words. Raises JaegerError."""
        return list(filter(None, map(self._missing, _sources(expectation))))

    def _missing(self, source: _Source) -> str:
        if source in self._passed:
            return ""
        newer = list(self._newer(source.component))
        if not any(source.has(span) for span in newer):
            return f"the selected {source.component}" if newer else source.component
        self._passed.add(source)
        return ""

    def _newer(self, component: str) -> Iterator[Span]:
        # Badger refuses a period that ends before it begins, and its clock may be slow.
        end = self._begin + _HOUR
        for trace in self._jaeger.find(component, start=self._begin, end=end):
            for span in trace.spans:
                if span.service == component and span.start >= self._begin:
                    yield span


@dataclass(frozen=True)
class _Source:
    """A component's processes that ``attributes`` select: those of a node, say, or of a version."""

    component: str
    attributes: tuple[tuple[str, str], ...] = ()

    def has(self, span: Span) -> bool:
        return all(
            matching.equals(wanted, span.process[name])
            for key, wanted in self.attributes
            for name in matching.names(key)
            if name in span.process and name not in span.tags
        )


def _sources(expectation: Expectation) -> list[_Source]:
    select, child = expectation.select, expectation.expect.child
    selected = _Source(select.component, tuple(select.attributes.items()))
    if child is None or child.component in (None, select.component):
        return [selected]
    return [selected, _Source(child.component)]
