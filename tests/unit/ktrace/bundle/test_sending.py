"""A bundle's traces reach a Jaeger through its collector: what it has is not sent again."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import httpx
import pytest

from ktrace.bundle import file, otlp, sending
from ktrace.bundle.spans import Kept
from ktrace.errors import UnreachableError
from ktrace.jaeger.store import LUCENE
from tests.fakes import jaeger as fake
from tests.fakes import recorded
from tests.fakes.clock import Clock
from tests.fakes.http import FakeServer, Reply, Request
from tests.fakes.store import Store
from tests.schemas import validate
from tests.unit.ktrace.bundle.test_objects import SECRET

NOT_FOUND = httpx.Response(404, json={"errors": [{"msg": "trace not found"}]})


@pytest.fixture
def bundle(tmp_path: Path) -> file.Bundle:
    """Of a pod's start."""
    kept = Kept()
    for entry in json.loads(recorded.text("echo-one")):
        kept.add(entry["answer"]["data"] or [])
    path = tmp_path / "start.json"
    file.write(
        path,
        {
            **file.HEAD,
            "asked": {
                "command": "show",
                "words": ["show", "echo-one"],
                "arguments": {},
                "firstLookAt": 1_800_000_000.0,
                "lastLookAt": 1_800_000_000.0,
            },
            "versions": {"ktrace": "0", "kubernetes": None},
            "settings": {
                "jaegerUrl": fake.URL,
                "stack": None,
                "shared": True,
                "store": "memory",
                "lookBackDays": None,
                "tracesRuntime": True,
                "memory": None,
            },
            "exitCode": 0,
            "answer": None,
            "searches": [],
            "noCluster": None,
            "api": {},
            "run": None,
            "resourceSpans": kept.resource_spans(),
        },
    )
    validate("bundle", json.loads(path.read_text()))
    assert SECRET not in path.read_text()
    return file.read(path)


@pytest.fixture
def store(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Of the Jaeger behind the collector, which is ``server``."""
    held = Store()

    def answer(request: Request) -> Reply:
        assert (request.method, request.path) == ("POST", "/v1/traces")
        number = len(server.requests)
        for trace in otlp.traces_of(request.body["resourceSpans"]):
            for span in trace["spans"]:  # each request has processes of its own
                span["processID"] = f"{number}-{span['processID']}"
            processes = {f"{number}-{key}": found for key, found in trace["processes"].items()}
            held.add({**trace, "processes": processes})
        return Reply(body={})

    server.answer = answer
    Clock().drive(monkeypatch, sending)
    return held


def test_what_jaeger_lacks_is_sent_and_arrives_whole(
    bundle: file.Bundle, store: Store, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "_MOST_SPANS", 7)
    jaeger = fake.client(by_id(store))
    sent = sending.send(bundle, jaeger, server.url)
    assert sent
    assert all(trace.sent and trace.there for trace in sent)
    for trace in bundle.spans.traces:
        found = jaeger.trace(trace.id)
        assert found is not None
        assert sorted(found.spans, key=lambda span: (span.span_id, span.service)) == sorted(
            trace.spans, key=lambda span: span.span_id
        )
    validate("open", {"apiVersion": "ktrace/v1", "traces": [trace.document() for trace in sent]})
    asked = len(server.requests)
    assert asked > 1, "in parts"
    again = sending.send(bundle, jaeger, server.url)
    assert [(trace.sent, trace.there) for trace in again] == [(False, True)] * len(sent)
    assert len(server.requests) == asked


def test_what_is_too_old_for_a_search_engine_s_page_is_told(
    bundle: file.Bundle, store: Store, server: FakeServer
) -> None:
    """It has no trace under its id that is older than max_span_age, and searches find it."""

    def answer(request: httpx.Request) -> httpx.Response:
        is_search = request.url.path == "/api/traces"
        return store.answer(request) if is_search else NOT_FOUND

    sent = sending.send(bundle, fake.client(answer, LUCENE), server.url)
    assert sent
    for trace in sent:
        assert (trace.there, trace.document()["url"]) == (True, None)
        told = str(trace)
        assert told.startswith(f"too old for Jaeger's page: {trace.trace.id}  ")
    asked = len(server.requests)
    again = sending.send(bundle, fake.client(answer, LUCENE), server.url)
    assert not any(trace.sent for trace in again)
    assert len(server.requests) == asked


def test_what_does_not_arrive_is_told(
    bundle: file.Bundle, store: Store, server: FakeServer
) -> None:
    server.answer = lambda _: Reply(body={})
    sent = sending.send(bundle, fake.client(by_id(store)), server.url)
    assert not any(trace.there for trace in sent)
    assert all(str(trace).startswith("not there: ") for trace in sent)


def test_a_collector_that_takes_nothing_is_one_line(
    bundle: file.Bundle, store: Store, server: FakeServer
) -> None:
    server.answer = lambda _: Reply(503)
    with pytest.raises(UnreachableError, match="does not take the spans") as failed:
        sending.send(bundle, fake.client(by_id(store)), server.url)
    assert "\n" not in str(failed.value)


def by_id(store: Store) -> fake.Handler:
    """Jaeger's answer to the request for one trace."""

    def answer(request: httpx.Request) -> httpx.Response:
        held = store._traces.get(request.url.path.rpartition("/")[2])
        return fake.data(copy.deepcopy(held)) if held else NOT_FOUND

    return answer
