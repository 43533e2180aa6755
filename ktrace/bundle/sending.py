"""Sends a bundle's traces to a collector, so that they can be looked at on Jaeger's page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ktrace import otlp as http
from ktrace.bundle import otlp
from ktrace.bundle.file import Bundle
from ktrace.clock import time
from ktrace.errors import UnreachableError
from ktrace.jaeger import Jaeger, Span, Trace
from ktrace.text import clean
from runtime_observability.host.http import httpx

_SECONDS = 10.0
"""For a request, and for the spans to arrive."""
_POLL_SECONDS = 0.5
_MOST_TRACES = 10_000
"""That are read to find one: those of a period with a span of the same name."""
_MOST_SPANS = 1_000
"""In one request: some 2 MB, of 20 that a collector takes by default."""


@dataclass(frozen=True)
class Sent:
    """A trace of the bundle; ``there`` is whether Jaeger has all of its spans."""

    trace: Trace
    url: str
    sent: bool
    """Whether Jaeger did not have it before."""
    there: bool
    has_page: bool = True
    """Whether Jaeger has it under its id: with a search engine none that is too old."""

    @property
    def _first(self) -> Span:
        """The outermost span, if there is one that has no parent."""
        spans = self.trace.spans
        return next((span for span in spans if not span.parent_id), spans[0])

    def document(self) -> dict[str, Any]:
        first = self._first
        return {
            "traceId": self.trace.id,
            "service": first.service,
            "operation": first.operation,
            "spans": len(self.trace.spans),
            "sent": self.sent,
            "url": self.url if self.there and self.has_page else None,
        }

    def __str__(self) -> str:
        first = self._first
        number = len(self.trace.spans)
        told = f"{first.service} {first.operation}, {number:,} span{'s' * (number != 1)}"
        if self.there and self.has_page:
            return f"{self.url}  {told}"
        why = "too old for Jaeger's page" if self.there else "not there"
        return f"{why}: {self.trace.id}  {told}"


def send(bundle: Bundle, jaeger: Jaeger, collector: str) -> list[Sent]:
    """In the order of the traces' beginnings. Jaeger gets none that it has.

    Raises JaegerError, and UnreachableError if the collector takes none.
    """
    traces = sorted(bundle.spans.traces, key=lambda trace: trace.spans[0].start)
    missing = {trace.id for trace in traces if _lacks(jaeger, trace)}
    try:
        for part in _parts(bundle.resource_spans, missing):
            http.post(http.Collector.at(collector), part, _SECONDS)
    except httpx.HTTPError as error:
        reason = clean(str(error)) or type(error).__name__
        raise UnreachableError(
            f"the collector at {collector} does not take the spans: {reason}. `ktrace verify` "
            "says more"
        ) from None
    waited_for = [trace for trace in traces if trace.id in missing]
    deadline = time.monotonic() + _SECONDS
    while waited_for and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
        waited_for = [trace for trace in waited_for if _lacks(jaeger, trace)]
    absent = {trace.id for trace in waited_for}
    return [
        Sent(
            trace,
            jaeger.link(trace),
            trace.id in missing,
            trace.id not in absent,
            jaeger.store.listed is None or jaeger.trace(trace.id) is not None,
        )
        for trace in traces
    ]


def _lacks(jaeger: Jaeger, trace: Trace) -> bool:
    """Whether Jaeger lacks a span of ``trace``."""
    missing = {span.span_id for span in trace.spans}
    if found := jaeger.trace(trace.id):
        return not missing <= {span.span_id for span in found.spans}
    if jaeger.store.listed is None:
        return True
    # A search engine is asked for an id in the indices of max_span_age alone.
    first, last = (choose(span.start for span in trace.spans) for choose in (min, max))
    for service, operation in {(span.service, span.operation): None for span in trace.spans}:
        traces, _ = jaeger.find_all(service, operation, start=first, end=last, most=_MOST_TRACES)
        own = (one for one in traces if one.id == trace.id)
        found_now = {span.span_id for one in own for span in one.spans}
        if not found_now:
            return True
        missing -= found_now
        if not missing:
            return False
    return True


def _parts(
    resource_spans: Sequence[Mapping[str, Any]], wanted: set[str]
) -> Iterator[list[dict[str, Any]]]:
    """The spans of the ``wanted`` traces, a request's worth at a time."""
    part: list[dict[str, Any]] = []
    number = 0
    for resource in resource_spans:
        for scoped in resource.get("scopeSpans") or []:
            spans = [
                span
                for span in scoped.get("spans") or []
                if otlp.short_id(span["traceId"]) in wanted
            ]
            for begin in range(0, len(spans), _MOST_SPANS):
                some = spans[begin : begin + _MOST_SPANS]
                if number + len(some) > _MOST_SPANS:
                    yield part
                    part, number = [], 0
                scope = {"scope": scoped.get("scope") or {}, "spans": some}
                part.append({"resource": resource.get("resource") or {}, "scopeSpans": [scope]})
                number += len(some)
    if part:
        yield part
