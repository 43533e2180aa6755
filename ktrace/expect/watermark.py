"""Whether what was on its way to Jaeger when an assertion began has arrived there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ktrace.components import APISERVER, KUBELET
from ktrace.expect import matching
from ktrace.expect.schema import Expectation
from ktrace.jaeger import Jaeger, Span, Trace, paging

_SECOND = 1_000_000
_HOUR = 3600 * _SECOND
_RECENT = 30 * _SECOND
"""A process that sent a span so long before is taken to be alive; an idle node sends some each
second."""
_TRACES = 5_000
"""The newest ones show every node: an idle one makes four in a second, and a busy one hundreds."""
_FEW = paging.PAGE
_NODE = "k8s.node.name"
_NAMELESS = "a node without a name"


class Watermark:
    """A process exports its spans in the order in which they end.

    So once a span has arrived that began after ``begin``, in microseconds since the Unix epoch, all
    have arrived that ended before. The node's clock says when it began.
    """

    def __init__(self, jaeger: Jaeger, begin: int) -> None:
        self._jaeger = jaeger
        self._begin = begin
        self._recent: dict[str, list[Span]] = {}
        self._newer: dict[str, tuple[list[Span], bool]] = {}
        """The newest of them, and whether they are all."""
        self._processes: dict[str, Mapping[str, Any]] = {}
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
            self._recent[component], _ = self._spans(
                component, self._begin - _RECENT, self._begin, _TRACES
            )
        if component not in self._newer:
            self._newer[component] = self._newer_spans(component, _FEW)
        newer, are_all = self._newer[component]
        seen = self._seen.setdefault(source, set())
        seen |= source.nodes(newer)
        silent = source.nodes(self._recent[component]) - seen
        if not are_all:
            for node in sorted(silent) or [_NAMELESS] * (not seen):
                tags = {} if node == _NAMELESS else {_NODE: node}
                seen |= source.nodes(self._newer_spans(component, _TRACES, tags)[0])
            silent -= seen
        if seen and not silent:
            self._passed.add(source)
            return ""
        if seen:
            return f"{component} on {' and '.join(sorted(silent))}"
        return f"the selected {component}" if newer else component

    def _newer_spans(
        self, component: str, most: int, tags: Mapping[str, str] | None = None
    ) -> tuple[list[Span], bool]:
        # Badger refuses a period that ends before it begins, and its clock may be slow.
        return self._spans(component, self._begin, self._begin + _HOUR, most, tags)

    def _spans(
        self,
        component: str,
        start: int,
        end: int,
        most: int,
        tags: Mapping[str, str] | None = None,
    ) -> tuple[list[Span], bool]:
        """One of each process of the component, and whether all traces of the period were read.

        They began at ``start`` or later.
        """
        traces, whole = self._jaeger.find_all(
            component, tags=tags, start=start, end=end, most=most, keep=self._senders
        )
        spans = (span for trace in traces for span in trace.spans if span.start >= start)
        return _one_of_each(span for span in spans if span.service == component), whole

    def _senders(self, trace: Trace) -> Trace:
        """``trace`` with the last span of each process, as far as sources see it."""
        return Trace(trace.id, tuple(map(self._lean, _one_of_each(trace.spans))))

    def _lean(self, span: Span) -> Span:
        process = self._processes.setdefault(str(span.process), span.process)
        hiding = {name: span.tags[name] for name in span.tags.keys() & process.keys()}
        return replace(span, parent_id=None, tags=hiding, process=process)


def _one_of_each(spans: Iterable[Span]) -> list[Span]:
    """The last span of each process, and of each set of tags that hide some of the process's."""
    last: dict[tuple[str, int, frozenset[str]], Span] = {}
    for span in sorted(spans, key=lambda span: span.start):
        hiding = frozenset(span.tags.keys() & span.process.keys())
        last[span.service, id(span.process), hiding] = span
    return list(last.values())


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
        return {str(span.process.get(_NODE, _NAMELESS)) for span in spans if self._has(span)}

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
