"""What is kept of traces while others are read answers as whole traces do."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ktrace.activity import look
from ktrace.activity.look import Activity
from ktrace.activity.requests import ApiRequest, needed, requests_in
from ktrace.activity.rows import BY, Row, rows
from ktrace.components import APISERVER
from ktrace.jaeger import Jaeger, Trace, model, paging
from ktrace.jaeger.client import now
from ktrace.jaeger.model import merged
from tests.fakes import jaeger as fake
from tests.fakes.store import Store
from tests.replay import recordings

NOW = 1_700_000_000_000_000
_SECOND = 1_000_000
_TENTH = _SECOND // 10
_PATHS = ("/api/v1/namespaces/a/pods", "/api/v1/namespaces/a/pods/b", "/api/v1/nodes?watch=1")
_TAGS: dict[str, tuple[Any, ...]] = {
    "span.kind": ("server", "server", "client"),
    "http.method": ("GET", "POST", "PATCH"),
    "http.request.method": ("PUT",),
    "http.target": _PATHS,
    "url.path": _PATHS,
    "url": _PATHS,
    "http.status_code": ("200", "409", 500),
    "http.response.status_code": ("404",),
    "user_agent.original": ("kubelet/v1 (linux)", "x/1 system:serviceaccount:a:b"),
    "http.user_agent": ("kubectl/v1",),
    "user-agent": ("handler/v1 (linux)",),
    "network.peer.address": ("10.0.0.1",),
    "net.peer.ip": ("10.0.0.2",),
    "network.peer.port": (1, 2),
    "net.peer.port": ("3",),
    "audit-id": ("one", "other"),
    "resource": ("pods",),
    "key": ("/registry/pods/a/b", "/pods/a/c"),
    "configuration": ("policies",),
    "webhook": ("check",),
    "error": ("true", True),
    "noise": ("of no use",),
}
_OPERATIONS = (
    "KubernetesAPI",
    "Create etcd3",
    "etcdserverpb.KV/Txn",
    "Call validating webhook",
    "HTTP POST",
)
_PROCESS = {
    "service.instance.id": ("i",),
    "k8s.node.name": ("n", "m"),
    "noise": ("of no use",),
}


def _some(values: dict[str, tuple[Any, ...]]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional={k: st.sampled_from(v) for k, v in values.items()})


@st.composite
def _traces(draw: st.DrawFn) -> list[dict[str, Any]]:
    """As Jaeger answers; they began less than a minute ago, and no two in the same microsecond."""
    begin = NOW - 55 * _SECOND
    made = []
    for number in range(draw(st.integers(1, 6))):
        spans = []
        at = begin + draw(st.integers(0, 500)) * _TENTH + 10 * number
        for index in range(draw(st.integers(1, 6))):
            service = draw(st.sampled_from((APISERVER, APISERVER, "hook")))
            parent = draw(st.sampled_from(["", *(f"s{other}" for other in range(6))]))
            start = at + draw(st.integers(0, 40)) * _TENTH
            span = fake.span(service, draw(st.sampled_from(_OPERATIONS)), start, parent)
            span |= {"traceID": f"t{number}", "spanID": f"s{index}"}
            span["duration"] = draw(st.integers(0, 3 * _SECOND))
            span["tags"] = _document(draw(_some(_TAGS)))
            span["references"] = [{**one, "traceID": f"t{number}"} for one in span["references"]]
            spans.append(span)
        trace = fake.trace(*spans, trace_id=f"t{number}")
        for process in trace["processes"].values():
            process["tags"] = _document(draw(_some(_PROCESS)))
        made.append(trace)
    return made


def _document(tags: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value": value} for key, value in tags.items()]


def _read(document: dict[str, Any]) -> Trace:
    return model.trace_of(model.read(json.dumps(document).encode()))


@settings(deadline=None, max_examples=50)
@given(documents=_traces(), cut=st.integers(0, 6))
def test_the_requests_are_those_of_the_whole_trace(
    documents: list[dict[str, Any]], cut: int
) -> None:
    for trace in map(_read, documents):
        expected = list(requests_in([trace]))
        assert list(requests_in([needed(trace)])) == expected
        parts = Trace(trace.id, trace.spans[:cut]), Trace(trace.id, trace.spans[cut // 2 :])
        both = merged(*map(needed, parts))
        assert list(requests_in([both])) == list(requests_in([merged(*parts)]))


def test_the_requests_are_those_of_recorded_traces() -> None:
    for trace in map(_read, [*recordings.at_rest(), *recordings.with_pod()]):
        assert list(requests_in([needed(trace)])) == list(requests_in([trace]))


class _Cutting(Store):
    """Leaves out of a trace what began before the period, which OpenSearch does of an hour."""

    def answer(self, request: httpx.Request) -> httpx.Response:
        found = super().answer(request).json()["data"]
        start = int(request.url.params["start"])
        for trace in found:
            trace["spans"] = [span for span in trace["spans"] if span["startTime"] >= start]
        return fake.data(*found)


@settings(deadline=None, max_examples=25)
@given(documents=_traces(), by=st.sampled_from(sorted(BY)), kind=st.sampled_from((Store, _Cutting)))
def test_rows_are_those_of_all_traces_at_once(
    documents: list[dict[str, Any]], by: str, kind: type[Store]
) -> None:
    store = kind(documents)
    with pytest.MonkeyPatch.context() as patch, fake.client(store.answer) as jaeger:
        patch.setattr(look, "now", lambda: NOW)
        patch.setattr(paging, "PAGE", 2)
        jaeger._most = 2
        found, window = Activity(jaeger, 60 * _SECOND).look()
    assert window.complete
    every = _within(requests_in(map(_read, documents)), window.asked, window.until)
    assert _told(rows(found, by, 60)) == _told(rows(every, by, 60))


def _within(requests: Iterator[ApiRequest], begin: int, end: int) -> list[ApiRequest]:
    return [one for one in requests if begin <= one.start <= end]


def _told(made: Iterable[Row]) -> list[Row]:
    """Which of several that took as long is the slowest depends on the order in which they came."""
    told = [replace(row, slowest_trace="", total_ms=round(row.total_ms, 3)) for row in made]
    return sorted(told, key=lambda row: (row.key, row.kind, row.internal))


def test_a_full_ring_takes_less_than_its_traces() -> None:
    noise = {f"attribute.{number}": f"value {number}" for number in range(12)}
    documents = []
    for number in range(400):
        tags: dict[str, Any] = {"span.kind": "server", "http.method": "GET", **noise}
        start = now() - 50 * _SECOND + number
        spans = [fake.span(APISERVER, "request", start, **tags)]
        spans += [
            {**fake.span(APISERVER, "etcd", start, "request", **noise), "spanID": f"etcd {at}"}
            for at in range(4)
        ]
        trace = fake.trace(*spans, trace_id=f"t{number}")
        trace["processes"][APISERVER]["tags"] = _document(noise)
        documents.append(trace)
    store = Store(documents)

    def kept(read: Callable[[Jaeger], object]) -> int:
        with fake.client(store.answer) as jaeger:
            tracemalloc.start()
            try:
                held = read(jaeger)
                jaeger._api._read_before.clear()
                assert held
                return tracemalloc.get_traced_memory()[0]
            finally:
                tracemalloc.stop()

    def activity(jaeger: Jaeger) -> Activity:
        looks = Activity(jaeger, 600 * _SECOND)
        assert len(looks.look()[0]) == len(documents)
        return looks

    whole = kept(
        lambda jaeger: jaeger.find_all(APISERVER, start=0, end=now() + _SECOND, most=20_000)
    )
    assert kept(activity) < 0.7 * whole
