"""Whether what was on its way to Jaeger when an assertion began has arrived there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ktrace.components import APISERVER, KUBELET
from ktrace.expect import matching
from ktrace.expect.schema import Expectation
from ktrace.jaeger import Reader, Span

_SECOND = 1_000_000
_HOUR = 3600 * _SECOND
_RECENT = 30 * _SECOND
"""A process that sent a span so long before is taken to be alive; an idle node sends some each
second."""
_TRACES = 5_000
"""The newest ones show every node: an idle one makes four in a second, and a busy one hundreds."""
_NODE = "k8s.node.name"


class Watermark:
    """A process exports its spans in the order in which they end.

    So once a span has arrived that began after ``begin``, in microseconds since the Unix epoch, all
    have arrived that ended before. The node's clock says when it began.
    """

    def __init__(self, reader: Reader, begin: int) -> None:
        self._reader = reader
        self._begin = begin
        self._recent: dict[str, list[Span]] = {}
        self._newer: dict[str, list[Span]] = {}
        self._seen: dict[Source, set[str]] = {}
        self._passed: set[Source] = set()

    def look_again(self) -> None:
        """Lets the next ``missing`` search Jaeger; until then it uses what it has found."""
        self._newer.clear()

    def missing(self, expectation: Expectation) -> list[str]:
        """What is selected and has sent no such span so far, in words. Raises JaegerError."""
        return list(filter(None, map(self.behind, sources(expectation))))

    def behind(self, source: Source) -> str:
        """What of ``source`` has sent no such span so far, in words; empty if all of it has."""
        if source in self._passed:
            return ""
        component = source.component
        if component not in self._recent:
            self._recent[component] = self._spans(component, self._begin - _RECENT, self._begin)
        if component not in self._newer:
            # Badger refuses a period that ends before it begins, and its clock may be slow.
            self._newer[component] = self._spans(component, self._begin, self._begin + _HOUR)
        newer = self._newer[component]
        seen = self._seen.setdefault(source, set())
        seen |= source.nodes(newer)
        silent = source.nodes(self._recent[component]) - seen
        if seen and not silent:
            self._passed.add(source)
            return ""
        if seen:
            return f"{component} on {' and '.join(sorted(silent))}"
        return f"the selected {component}" if newer else component

    def _spans(self, component: str, start: int, end: int) -> list[Span]:
        """Those of the component that began at ``start`` or later, of traces in the period."""
        traces, _ = self._reader.find_all(component, start=start, end=end, most=_TRACES)
        return [
            span
            for trace in traces
            for span in trace.spans
            if span.service == component and span.start >= start
        ]


@dataclass(frozen=True)
class Source:
    """A component's processes that ``attributes`` select: those of a node, say, or of a version."""

    component: str
    attributes: tuple[tuple[str, str], ...] = ()

    def includes(self, other: Source) -> bool:
        """Whether ``other`` selects among the processes that this one does."""
        own, others = set(self.attributes), set(other.attributes)
        return self.component == other.component and own <= others

    def nodes(self, spans: Iterable[Span]) -> set[str]:
        """The nodes from which the selected ones of the processes sent ``spans``."""
        return {
            str(span.process.get(_NODE, "a node without a name"))
            for span in spans
            if self._has(span)
        }

    def _has(self, span: Span) -> bool:
        return all(
            matching.equals(wanted, span.process[name])
            for key, wanted in self.attributes
            for name in matching.names(key)
            if name in span.process and name not in span.tags
        )


def sources(expectation: Expectation) -> list[Source]:
    """Whose spans decide."""
    if expectation.select is None:
        pods = [Source(KUBELET)] if expectation.pod is not None else []
        return [Source(APISERVER), *pods]
    select, child = expectation.select, expectation.expect.child
    selected = Source(select.component, tuple(select.attributes.items()))
    if child is None or child.component in (None, select.component):
        return [selected]
    return [selected, Source(child.component)]
