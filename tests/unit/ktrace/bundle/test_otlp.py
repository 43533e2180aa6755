"""A trace says the same after the way from Jaeger's JSON to OTLP's and back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ktrace.bundle import otlp
from ktrace.jaeger import model
from tests.fakes import recorded

_SPECIAL = ("span.kind", "error", "otel.status_code", "otel.status_description", "w3c.tracestate")
_SCOPES = ("otel.scope.name", "otel.scope.version")
_WORDS = ("server", "client", "weird", "ERROR", "OK", "UNSET", "", "true")
texts = st.text(st.characters(codec="utf-8"), max_size=12)
numbers = st.floats(allow_nan=False, allow_infinity=False)
values = st.one_of(
    st.tuples(st.just("string"), st.one_of(texts, st.sampled_from(_WORDS))),
    st.tuples(st.just("bool"), st.booleans()),
    st.tuples(st.just("int64"), st.integers(-(2**63), 2**63 - 1)),
    st.tuples(st.just("float64"), st.one_of(numbers, st.integers(-(2**53), 2**53))),
    st.tuples(st.just("binary"), st.sampled_from(["", "AAEC", "/w=="])),
)


def tags(*names: str) -> st.SearchStrategy[list[dict[str, Any]]]:
    keys = st.one_of(texts.filter(lambda key: key != "service.name"), st.sampled_from(names))
    found = st.dictionaries(keys, values, max_size=6)
    return found.map(
        lambda made: [
            {"key": key, "type": kind, "value": value} for key, (kind, value) in made.items()
        ]
    )


span_ids = st.integers(1, 2**64 - 1).map(lambda number: f"{number:016x}")
trace_ids = st.one_of(span_ids, st.integers(2**64, 2**128 - 1).map(lambda number: f"{number:032x}"))


@st.composite
def traces(draw: st.DrawFn) -> list[dict[str, Any]]:
    """A few of Jaeger's, with parents, links, logs and several processes."""
    found = []
    for trace_id in draw(st.lists(trace_ids, min_size=1, max_size=3, unique=True)):
        process_tags = st.lists(tags("k8s.node.name"), min_size=1, max_size=2)
        processes = {
            f"p{number}": {"serviceName": draw(texts), "tags": made}
            for number, made in enumerate(draw(process_tags))
        }
        spans = []
        for span_id in draw(st.lists(span_ids, min_size=1, max_size=4, unique=True)):
            references = st.builds(
                lambda kind, other, parent: {"refType": kind, "traceID": other, "spanID": parent},
                st.sampled_from(["CHILD_OF", "FOLLOWS_FROM"]),
                st.one_of(st.just(trace_id), trace_ids),
                span_ids,
            )
            logs = st.builds(
                lambda at, fields: {"timestamp": at, "fields": fields},
                st.integers(0, 2**50),
                tags("event"),
            )
            spans.append(
                {
                    "traceID": trace_id,
                    "spanID": span_id,
                    "operationName": draw(texts),
                    "references": draw(st.lists(references, max_size=3)),
                    "startTime": draw(st.integers(0, 2**50)),
                    "duration": draw(st.integers(0, 2**40)),
                    "tags": draw(tags(*_SPECIAL, *_SCOPES)),
                    "logs": draw(st.lists(logs, max_size=2)),
                    "processID": draw(st.sampled_from(sorted(processes))),
                }
            )
        found.append({"traceID": trace_id, "spans": spans, "processes": processes})
    return found


def told(trace: dict[str, Any]) -> list[Any]:
    """All that a trace of Jaeger's says, in an order of its own."""

    def by_key(listed: list[dict[str, Any]]) -> dict[str, Any]:
        return {tag["key"]: (tag["type"], tag["value"]) for tag in listed}

    def of(span: dict[str, Any]) -> Any:
        process = trace["processes"][span["processID"]]
        same = [
            reference
            for reference in span["references"]
            if (reference["refType"], reference["traceID"]) == ("CHILD_OF", trace["traceID"])
        ][:1]
        others = [found for found in span["references"] if found not in same]
        return {
            **{key: span[key] for key in ("spanID", "operationName", "startTime", "duration")},
            "tags": by_key(span["tags"]),
            "logs": [(log["timestamp"], by_key(log["fields"])) for log in span["logs"]],
            "parent": same,
            "links": [found for found in span["references"] if found in others],
            "process": (process["serviceName"], by_key(process["tags"])),
        }

    return sorted(map(of, trace["spans"]), key=lambda span: str(span["spanID"]))


def again(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Through a file, too."""
    return otlp.traces_of(json.loads(json.dumps(otlp.resource_spans(found))))


@given(traces())
def test_nothing_is_lost_or_changes_its_type(found: list[dict[str, Any]]) -> None:
    back = {trace["traceID"]: told(trace) for trace in again(found)}
    assert back == {trace["traceID"]: told(trace) for trace in found}


@given(traces())
def test_ktrace_reads_the_same_traces(found: list[dict[str, Any]]) -> None:
    def read(documents: list[dict[str, Any]]) -> list[Any]:
        read = model.read(json.dumps(documents).encode())
        spans = [span for document in read for span in model.trace_of(document).spans]
        return sorted(spans, key=lambda span: (span.trace_id, span.span_id))

    assert read(again(found)) == read(found)


@pytest.mark.parametrize("name", ["echo-one", "with-init-137"])
def test_what_a_real_jaeger_has_answered_is_the_same_afterwards(name: str) -> None:
    answers = json.loads(recorded.text(name))
    found = {
        trace["traceID"]: trace for entry in answers for trace in entry["answer"]["data"] or []
    }
    for trace in found.values():
        for span in trace["spans"]:
            span["logs"] = span.get("logs") or []
            span["references"] = span.get("references") or []
    assert {trace["traceID"]: told(trace) for trace in again(list(found.values()))} == {
        trace_id: told(trace) for trace_id, trace in found.items()
    }


def test_it_is_otlp_as_a_collector_takes_it() -> None:
    """Ids of 32 and 16 digits, 64-bit integers as strings, kinds and statuses as numbers."""
    tag = {"key": "span.kind", "type": "string", "value": "server"}
    status = [
        {"key": "otel.status_code", "type": "string", "value": "ERROR"},
        {"key": "error", "type": "bool", "value": True},
        {"key": "otel.status_description", "type": "string", "value": "no such pod"},
    ]
    scope = {"key": "otel.scope.name", "type": "string", "value": "k8s.io/kubelet"}
    count = {"key": "count", "type": "int64", "value": 3}
    span = {
        "traceID": "00000000000000ab",
        "spanID": "00000000000000cd",
        "operationName": "syncPod",
        "references": [
            {"refType": "CHILD_OF", "traceID": "00000000000000ab", "spanID": "00000000000000ef"}
        ],
        "startTime": 1_700_000_000_000_001,
        "duration": 2,
        "tags": [scope, count, tag, *status],
        "logs": [],
        "processID": "p1",
    }
    trace = {
        "traceID": "00000000000000ab",
        "spans": [span],
        "processes": {"p1": {"serviceName": "kubelet", "tags": []}},
    }
    assert otlp.resource_spans([trace]) == [
        {
            "resource": {
                "attributes": [{"key": "service.name", "value": {"stringValue": "kubelet"}}]
            },
            "scopeSpans": [
                {
                    "scope": {"name": "k8s.io/kubelet"},
                    "spans": [
                        {
                            "traceId": "000000000000000000000000000000ab",
                            "spanId": "00000000000000cd",
                            "parentSpanId": "00000000000000ef",
                            "name": "syncPod",
                            "startTimeUnixNano": "1700000000000001000",
                            "endTimeUnixNano": "1700000000000003000",
                            "kind": 2,
                            "status": {"code": 2, "message": "no such pod"},
                            "attributes": [{"key": "count", "value": {"intValue": "3"}}],
                        }
                    ],
                }
            ],
        }
    ]
