"""Spans and traces, read from the JSON of Jaeger's query API.

All text in them is clean (``ktrace.text``): whoever prints or stores it has nothing more to do.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

from ktrace.text import clean, cleaned


@dataclass(frozen=True, slots=True)
class Span:
    """One span; times are in microseconds, ``start`` since the Unix epoch."""

    trace_id: str
    span_id: str
    parent_id: str | None
    service: str
    operation: str
    start: int
    duration: int
    tags: Mapping[str, Any] = field(repr=False)
    process: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """Tags of the process that sent the span."""

    @property
    def end(self) -> int:
        return self.start + self.duration

    @property
    def failed(self) -> bool:
        """Jaeger's tag ``error`` stands for an OpenTelemetry status of Error; v1 has it as text."""
        return str(self.tags.get("error", "")).lower() == "true"

    @property
    def error(self) -> str:
        """The description of a failed span's status, or ``failed``; empty for any other span."""
        return str(self.tags.get("otel.status_description", "failed")) if self.failed else ""


@dataclass(frozen=True)
class Trace:
    """One trace's spans that have arrived in Jaeger so far, ordered by start.

    The tree is indexed once, on first use.
    """

    id: str
    spans: tuple[Span, ...]

    def below(self, *ancestors: Span) -> list[Span]:
        """All descendants of ``ancestors``, ordered by start, without ``ancestors`` themselves."""
        subtree: set[str] = set()
        unvisited = [span.span_id for span in ancestors]
        while unvisited:
            span_id = unvisited.pop()
            if span_id not in subtree:
                subtree.add(span_id)
                unvisited += self._children.get(span_id, ())
        positions = sorted(place for span_id in subtree for place in self._places.get(span_id, ()))
        excluded = set(map(id, ancestors))
        return [self.spans[place] for place in positions if id(self.spans[place]) not in excluded]

    def outermost(self, span: Span, service: str) -> Span:
        """The topmost ancestor of ``span`` with none but spans of ``service`` between them.

        ``span`` itself if its parent is of another service. Above a client, a webhook or an
        operator that traces itself there may be another request to ``service``.
        """
        visited: set[str] = set()
        topmost, parent = span, span.parent_id
        while parent is not None and parent not in visited and parent in self._places:
            visited.add(parent)
            ancestor = self.spans[self._places[parent][-1]]
            if ancestor.service != service:
                break
            topmost, parent = ancestor, ancestor.parent_id
        return topmost

    @cached_property
    def spans_without_parent(self) -> int:
        """Number of spans whose parent is missing: it has not arrived yet, or is lost."""
        parents = (span.parent_id for span in self.spans if span.parent_id)
        return sum(parent not in self._places for parent in parents)

    @cached_property
    def counts(self) -> dict[str, int]:
        """Number of spans by service."""
        return dict(sorted(Counter(span.service for span in self.spans).items()))

    @cached_property
    def _places(self) -> dict[str, list[int]]:
        """Positions in ``spans`` by span id: a broken client may use an id twice."""
        places: dict[str, list[int]] = {}
        for place, span in enumerate(self.spans):
            places.setdefault(span.span_id, []).append(place)
        return places

    @cached_property
    def _children(self) -> dict[str, list[str]]:
        """Span ids by their parent's."""
        children: dict[str, list[str]] = {}
        for span in self.spans:
            if span.parent_id:
                children.setdefault(span.parent_id, []).append(span.span_id)
        return children


def merged(known: Trace, newer: Trace) -> Trace:
    """``newer`` with the spans that only ``known`` has; both are of one trace."""
    if newer is known:
        return newer
    spans = {_identity(span) for span in newer.spans}
    missing = [span for span in known.spans if _identity(span) not in spans]
    if not missing:
        return newer
    both = (*missing, *newer.spans)
    return Trace(newer.id, tuple(sorted(both, key=lambda span: span.start)))


def _identity(span: Span) -> tuple[object, ...]:
    """A broken client may use an id twice."""
    return span.span_id, span.service, span.operation, span.start, span.duration


def read(text: bytes | bytearray) -> Any:
    """An answer of Jaeger's, with the tags of spans and processes as a map, and without logs.

    Jaeger has an object for each tag. If all of them were kept until the answer is read, 10,000
    spans would take more than 100 MB. Raises ValueError or TypeError.
    """
    return json.loads(text, object_hook=_shrunk)


def trace_of(document: Mapping[str, Any]) -> Trace:
    """A trace of what ``read`` returns; LookupError, TypeError or ValueError for anything else."""
    processes = document.get("processes") or {}
    ids: dict[str, str] = {}
    spans = [_span_of(span, processes, ids) for span in document.get("spans") or []]
    return Trace(clean(document["traceID"]), tuple(sorted(spans, key=lambda span: span.start)))


def _shrunk(value: dict[str, Any]) -> Any:
    if "key" in value and "value" in value:
        content = value["value"]
        return _name(value["key"]), _name(content) if type(content) is str else cleaned(content)
    if "tags" in value:
        value["tags"] = dict(value["tags"] or ())
        value.pop("logs", None)
    return value


def _span_of(
    document: Mapping[str, Any], processes: Mapping[str, Mapping[str, Any]], ids: dict[str, str]
) -> Span:
    """``ids`` has each id of the trace once: it is its span's, and the parent of others."""
    trace_id = document["traceID"]
    parents = [
        reference["spanID"]
        for reference in document.get("references") or []
        if reference["refType"] == "CHILD_OF" and reference["traceID"] == trace_id
    ]
    process = processes[document["processID"]]
    span_id, parent_id = clean(document["spanID"]), clean(parents[0]) if parents else None
    return Span(
        trace_id=_name(trace_id),
        span_id=ids.setdefault(span_id, span_id),
        parent_id=ids.setdefault(parent_id, parent_id) if parent_id is not None else None,
        service=_name(process["serviceName"]),
        operation=_name(document["operationName"]),
        start=int(document["startTime"]),
        duration=int(document["duration"]),
        tags=document.get("tags") or {},
        process=process.get("tags") or {},
    )


_name = lru_cache(maxsize=10_000)(clean)
"""``clean`` for texts that occur in many spans: each is in memory once."""
