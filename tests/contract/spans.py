"""The spans that every store gets, as OTLP."""

from __future__ import annotations

import hashlib
import itertools
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

SECOND = 1_000_000
HOUR = 3600 * SECOND
NOW = int(time.time() * SECOND) // SECOND * SECOND
"""When the tests began, in microseconds since the Unix epoch: a whole second."""
SERVICE = "contract"
CROWD = "crowd"
IN_THE_CROWD = 1_300
"""Traces, more than two answers hold."""

LONG = "v" * 300
VALUES: tuple[Any, ...] = (
    "default/web-0",
    "default/a.b",
    "default/aXb",
    "/api/v1/namespaces/default/pods?limit=500&watch=true",
    "what?",
    "wha",
    "f(x)",
    "fx",
    "[a",
    "[a-z]",
    "m",
    "a{2}",
    "aa",
    "a|b",
    "a",
    "b",
    "a+",
    "a*",
    ".*",
    "*",
    "~a",
    "#",
    "@",
    "<1-9>",
    "5",
    "a&b",
    '"quoted"',
    "'single'",
    "back\\slash",
    "back\\\\slash",
    "^a$",
    "line one\nline two",
    "ünïcode ☃",
    "Upper Case",
    "upper case",
    " space ",
    "tab\tin it",
    '{"json": true}',
    "007",
    "7",
    "1234567890123",
    "1e3",
    LONG,
    LONG + "w",
    "ü" * 200,
    True,
    False,
    404,
    -1,
    1234567890,
    9007199254740993,
    1.5,
    3.14159265358979,
    2.0,
)
"""Values of the tag ``value``, each in a trace of its own."""


@dataclass(frozen=True)
class Sent:
    """One span; times are in nanoseconds since the Unix epoch."""

    service: str
    operation: str
    trace: str
    id: str
    start: int
    took: int = 1_000_000
    parent: str = ""
    kind: int = 1
    failed: bool | None = None
    message: str = ""
    tags: Mapping[str, Any] = field(default_factory=dict)
    process: Mapping[str, Any] = field(default_factory=dict)
    event: Mapping[str, Any] = field(default_factory=dict)
    scope: str = "contract.scope"


def ids(name: str) -> tuple[str, str]:
    """The ids of a trace and of its first span; without zeros at the beginning."""
    digest = hashlib.sha256(name.encode()).hexdigest()
    return f"f{digest[1:32]}", f"e{digest[33:48]}"


def span(name: str, operation: str = "op", start: int = NOW, **more: Any) -> Sent:
    """The only span of its trace; ``start`` is in microseconds."""
    trace_id, span_id = ids(name)
    given = {"service": SERVICE, "trace": trace_id, "id": span_id} | more
    return Sent(operation=operation, start=start * 1000, **given)


def name_of(value: Any) -> str:
    return f"value {type(value).__name__} {value}"


def hostile() -> list[Sent]:
    # Apart, as most spans are: of one operation and microsecond Cassandra finds one alone.
    return [
        span(name_of(value), start=NOW + number, tags={"value": value})
        for number, value in enumerate(VALUES)
    ]


def others() -> list[Sent]:
    zeros = "000" + ids("zeros")[0][3:]
    two, first = ids("two spans")
    return [
        span("failed", "made by Jaeger", failed=True, kind=2),
        span("succeeded", "made by Jaeger", NOW + 1, failed=False, kind=3),
        span("unset", "made by Jaeger", NOW + 2, kind=1, scope="other.scope"),
        span("process", "process", process={"host.name": "node.a", "number": 5}),
        span("event", "event", event={"value": "of an event", "both": "event"}),
        span("zeros", "zeros", trace=zeros),
        span("two spans", "one", tags={"color": "red", "size": "big"}),
        Sent(SERVICE, "two", two, f"d{first[1:]}", NOW * 1000, parent=first, tags={"taste": "no"}),
        span("other service", "op", service="other.service", tags={"color": "red"}),
        span("long operation", "operation " + LONG),
        span("edge", "edge", start=NOW - 100 * SECOND, tags={"edge": "yes"}),
        span("edge.5", "edge.5", tags={"edge": "half"}),
        span("short", "duration", took=10_000_000, tags={"timed": "yes"}),
        span("lasting", "duration", NOW + 1, took=90_000_000, tags={"timed": "yes"}),
        span("twin one", "twin", tags={"born": "together"}),
        span("twin two", "twin", tags={"born": "together"}),
        *(
            span(f"{days} days", "aged", NOW - days * 24 * HOUR, tags={"aged": "a.b"})
            for days in (0, 1, 29, 31, 100)
        ),
        *long_trace(),
    ]


def long_trace() -> list[Sent]:
    """A trace whose spans begin hours apart, with the last one in another day's index."""
    trace_id, first = ids("long trace")
    begins = (30 * HOUR, 6 * HOUR, 0)
    spans = [f"{number}{first[1:]}" for number in range(1, 4)]
    return [
        Sent(
            SERVICE,
            f"hour {begin // HOUR}",
            trace_id,
            span_id,
            (NOW - begin) * 1000,
            took=(begin // SECOND + 1) * 1_000_000_000,
            parent=parent,
        )
        for begin, span_id, parent in zip(begins, spans, ["", *spans], strict=False)
    ]


def crowd() -> list[Sent]:
    return [
        span(f"crowd {number}", CROWD, NOW - 50 * SECOND + number * 7, service=CROWD)
        for number in range(IN_THE_CROWD)
    ]


def otlp(spans: Iterable[Sent]) -> dict[str, Any]:
    """A request of OTLP over HTTP as JSON."""
    resources: dict[Any, list[Sent]] = defaultdict(list)
    for sent in spans:
        resources[sent.service, tuple(sent.process.items()), sent.scope].append(sent)
    return {
        "resourceSpans": [
            {
                "resource": {"attributes": _attributes({"service.name": service, **dict(process)})},
                "scopeSpans": [{"scope": {"name": scope}, "spans": list(map(_span, sent))}],
            }
            for (service, process, scope), sent in resources.items()
        ]
    }


def of_jaeger(trace: Mapping[str, Any]) -> list[Sent]:
    """The spans of a trace that Jaeger's API has answered."""
    return [_of_jaeger(trace, span) for span in trace["spans"]]


def batches(spans: Iterable[Sent], size: int = 500) -> Iterable[list[Sent]]:
    left = iter(spans)
    while batch := list(itertools.islice(left, size)):
        yield batch


def _of_jaeger(trace: Mapping[str, Any], span: Mapping[str, Any]) -> Sent:
    process = trace["processes"][span["processID"]]
    parents = [reference["spanID"] for reference in span["references"]]
    tags = {tag["key"]: tag["value"] for tag in span["tags"]}
    failed = tags.pop("error", None)
    tags.pop("span.kind", None)
    return Sent(
        process["serviceName"],
        span["operationName"],
        trace["traceID"].rjust(32, "0"),
        span["spanID"].rjust(16, "0"),
        span["startTime"] * 1000,
        span["duration"] * 1000,
        parents[0].rjust(16, "0") if parents else "",
        failed=True if failed else None,
        message=tags.get("otel.status_description", ""),
        tags={key: value for key, value in tags.items() if not key.startswith("otel.")},
        process={tag["key"]: tag["value"] for tag in process["tags"]},
    )


def _span(sent: Sent) -> dict[str, Any]:
    document: dict[str, Any] = {
        "traceId": sent.trace,
        "spanId": sent.id,
        "parentSpanId": sent.parent,
        "name": sent.operation,
        "kind": sent.kind,
        "startTimeUnixNano": str(sent.start),
        "endTimeUnixNano": str(sent.start + sent.took),
        "attributes": _attributes(sent.tags),
    }
    if sent.failed is not None:
        document["status"] = {"code": 2 if sent.failed else 1, "message": sent.message}
    if sent.event:
        event = {"name": "e", "timeUnixNano": str(sent.start)}
        document["events"] = [{**event, "attributes": _attributes(sent.event)}]
    return document


def _attributes(tags: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value": _value(value)} for key, value in tags.items()]


def _value(value: Any) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    return {"stringValue": value}
