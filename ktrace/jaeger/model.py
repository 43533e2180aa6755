"""Spans and traces, read from the JSON of Jaeger's query API."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Span:
    """One span; times are microseconds, ``start`` since the Unix epoch."""

    trace_id: str
    span_id: str
    parent_id: str | None
    service: str
    operation: str
    start: int
    duration: int
    tags: Mapping[str, Any] = field(repr=False)
    process: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """Tags of the process that sent it."""

    @property
    def end(self) -> int:
        return self.start + self.duration

    @property
    def failed(self) -> bool:
        """``error`` is Jaeger's tag for a status of Error; v1 kept it as text."""
        return str(self.tags.get("error", "")).lower() == "true"


@dataclass(frozen=True)
class Trace:
    """The spans of one trace that Jaeger has so far, in order of their start."""

    id: str
    spans: tuple[Span, ...]

    def below(self, span: Span) -> list[Span]:
        """Every span under ``span``, in order of their start."""
        inside = {span.span_id}
        grown = True
        while grown:
            more = {each.span_id for each in self.spans if each.parent_id in inside} - inside
            inside |= more
            grown = bool(more)
        return [each for each in self.spans if each.span_id in inside and each is not span]

    def outermost(self, span: Span, service: str) -> Span:
        """The topmost ancestor of ``span`` that is of ``service``, or ``span`` itself."""
        others = {each.span_id: each for each in self.spans}
        found, above = span, others.pop(span.parent_id or "", None)
        while above:
            found = above if above.service == service else found
            above = others.pop(above.parent_id or "", None)
        return found

    @property
    def holes(self) -> int:
        """Number of spans whose parent is not there: on its way still, or lost."""
        known = {span.span_id for span in self.spans}
        return sum(bool(span.parent_id) and span.parent_id not in known for span in self.spans)

    @property
    def counts(self) -> dict[str, int]:
        """Number of spans by service."""
        services = [span.service for span in self.spans]
        return {service: services.count(service) for service in sorted(set(services))}


def trace_of(document: Mapping[str, Any]) -> Trace:
    """A trace of Jaeger's JSON."""
    processes = document.get("processes") or {}
    spans = (_span(span, processes) for span in document.get("spans") or [])
    return Trace(document["traceID"], tuple(sorted(spans, key=lambda span: span.start)))


def _span(span: Mapping[str, Any], processes: Mapping[str, Any]) -> Span:
    parents = [
        reference["spanID"]
        for reference in span.get("references") or []
        if reference["refType"] == "CHILD_OF" and reference["traceID"] == span["traceID"]
    ]
    process = processes[span["processID"]]
    return Span(
        trace_id=span["traceID"],
        span_id=span["spanID"],
        parent_id=parents[0] if parents else None,
        service=process["serviceName"],
        operation=span["operationName"],
        start=span["startTime"],
        duration=span["duration"],
        tags=_tags(span),
        process=_tags(process),
    )


def _tags(document: Mapping[str, Any]) -> dict[str, Any]:
    return {tag["key"]: tag["value"] for tag in document.get("tags") or []}
