"""OTLP requests in JSON of traces as Jaeger has them."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

_KINDS = {"internal": 1, "server": 2, "client": 3, "producer": 4, "consumer": 5}
_OF_STATUS = ("span.kind", "error", "otel.status_code", "otel.status_description")
_SPANS_PER_REQUEST = 100

Trace = Mapping[str, Any]
"""A trace of Jaeger's query API."""
_Process = tuple[str, tuple[tuple[str, object], ...]]
"""A service and the attributes of one of its processes."""


def service(trace: Trace, span: Mapping[str, Any]) -> str:
    name: str = trace["processes"][span["processID"]]["serviceName"]
    return name


def spans_of(traces: Iterable[Trace]) -> set[tuple[str, str]]:
    """The ids of trace and span, as hex."""
    return {(trace["traceID"], span["spanID"]) for trace in traces for span in trace["spans"]}


def requests(traces: Iterable[Trace]) -> Iterator[dict[str, Any]]:
    """As nodes send them: each process in requests of its own, spans in the order they end."""
    ended = [
        (span["startTime"] + span["duration"], _process(trace, span), span)
        for trace in traces
        for span in trace["spans"]
    ]
    ended.sort(key=lambda entry: entry[0])
    waiting: dict[_Process, list[dict[str, Any]]] = {}
    for _, process, span in ended:
        waiting.setdefault(process, []).append(_span(span))
        if len(waiting[process]) == _SPANS_PER_REQUEST:
            yield _request(process, waiting.pop(process))
    for process, spans in waiting.items():
        yield _request(process, spans)


def request(
    service_name: str,
    spans: Sequence[Mapping[str, Any]],
    resource: Mapping[str, object] | None = None,
) -> dict[str, Any]:
    """``resource`` are the process' attributes beside its service's name."""
    described = {"attributes": attributes({"service.name": service_name, **(resource or {})})}
    return {"resourceSpans": [{"resource": described, "scopeSpans": [{"spans": list(spans)}]}]}


def _process(trace: Trace, span: Mapping[str, Any]) -> _Process:
    tags = trace["processes"][span["processID"]]["tags"]
    return service(trace, span), tuple((tag["key"], tag["value"]) for tag in tags)


def _request(process: _Process, spans: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    name, resource = process
    return request(name, spans, dict(resource))


def _span(span: Mapping[str, Any]) -> dict[str, Any]:
    tags = {tag["key"]: tag["value"] for tag in span["tags"]}
    parent = next(
        (
            reference["spanID"]
            for reference in span.get("references") or []
            if reference["traceID"] == span["traceID"]
        ),
        "",
    )
    document = made(
        span["traceID"],
        span["operationName"],
        str(tags.get("span.kind", "internal")),
        {key: value for key, value in tags.items() if key not in _OF_STATUS},
        span_id=span["spanID"],
        parent=parent,
        start=span["startTime"] * 1_000,
        nanoseconds=span["duration"] * 1_000,
        failed=tags.get("error") is True,
    )
    if logs := span.get("logs"):
        document["events"] = list(map(_event, logs))
    return document


def _event(log: Mapping[str, Any]) -> dict[str, Any]:
    """Jaeger has an event's name as a field beside its attributes."""
    fields = {entry["key"]: entry["value"] for entry in log["fields"]}
    return {
        "timeUnixNano": str(log["timestamp"] * 1_000),
        "name": str(fields.pop("event", "")),
        "attributes": attributes(fields),
    }


def made(
    trace_id: str,
    name: str,
    kind: str = "internal",
    tags: Mapping[str, object] | None = None,
    *,
    span_id: str = "",
    parent: str = "",
    start: int = 0,
    nanoseconds: int = 1_000_000,
    failed: bool = False,
) -> dict[str, Any]:
    """One span; ``start`` is Unix time in nanoseconds."""
    return {
        "traceId": trace_id,
        "spanId": span_id or secrets.token_hex(8),
        "parentSpanId": parent,
        "name": name,
        "kind": _KINDS[kind],
        "startTimeUnixNano": str(start),
        "endTimeUnixNano": str(start + nanoseconds),
        "attributes": attributes(tags or {}),
        "status": {"code": 2} if failed else {},
    }


def attributes(values: Mapping[str, object]) -> list[dict[str, Any]]:
    return [_attribute(key, value) for key, value in values.items()]


def _attribute(key: str, value: object) -> dict[str, Any]:
    match value:
        case bool():
            return {"key": key, "value": {"boolValue": value}}
        case int():
            return {"key": key, "value": {"intValue": str(value)}}
        case _:
            return {"key": key, "value": {"stringValue": str(value)}}
