"""Spans and traces, read from the JSON of Jaeger's query API."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
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
    """One trace's spans that have arrived in Jaeger so far, ordered by start."""

    id: str
    spans: tuple[Span, ...]

    def below(self, ancestor: Span) -> list[Span]:
        """All descendants of ``ancestor``, ordered by start."""
        subtree = {ancestor.span_id}
        growing = True
        while growing:
            children = {span.span_id for span in self.spans if span.parent_id in subtree} - subtree
            subtree |= children
            growing = bool(children)
        return [span for span in self.spans if span.span_id in subtree and span is not ancestor]

    def outermost(self, span: Span, service: str) -> Span:
        """The topmost ancestor of ``span`` that belongs to ``service``, or ``span`` itself."""
        unvisited = {other.span_id: other for other in self.spans}
        topmost, ancestor = span, unvisited.pop(span.parent_id or "", None)
        while ancestor:
            topmost = ancestor if ancestor.service == service else topmost
            ancestor = unvisited.pop(ancestor.parent_id or "", None)
        return topmost

    @property
    def spans_without_parent(self) -> int:
        """Number of spans whose parent is missing: it has not arrived yet, or is lost."""
        known = {span.span_id for span in self.spans}
        return sum(bool(span.parent_id) and span.parent_id not in known for span in self.spans)

    @property
    def counts(self) -> dict[str, int]:
        """Number of spans by service."""
        services = [span.service for span in self.spans]
        return {service: services.count(service) for service in sorted(set(services))}


def trace_of(document: Mapping[str, Any]) -> Trace:
    """A trace from Jaeger's JSON."""
    processes = document.get("processes") or {}
    spans = (_span_of(span, processes) for span in document.get("spans") or [])
    return Trace(document["traceID"], tuple(sorted(spans, key=lambda span: span.start)))


def _span_of(document: Mapping[str, Any], processes: Mapping[str, Any]) -> Span:
    parents = [
        reference["spanID"]
        for reference in document.get("references") or []
        if reference["refType"] == "CHILD_OF" and reference["traceID"] == document["traceID"]
    ]
    process = processes[document["processID"]]
    return Span(
        trace_id=document["traceID"],
        span_id=document["spanID"],
        parent_id=parents[0] if parents else None,
        service=process["serviceName"],
        operation=document["operationName"],
        start=document["startTime"],
        duration=document["duration"],
        tags=_tags(document),
        process=_tags(process),
    )


def _tags(document: Mapping[str, Any]) -> dict[str, Any]:
    return {tag["key"]: tag["value"] for tag in document.get("tags") or []}
