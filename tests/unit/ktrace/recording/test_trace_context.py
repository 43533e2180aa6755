"""The trace of a command: its ids, the headers of its requests, and the spans that are sent."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
import yaml

from ktrace import otlp
from ktrace.recording import command_spans, trace_context
from ktrace.recording.command_spans import EndedCommand
from ktrace.recording.forwarder import recording
from ktrace.recording.object_reference import NO_OBJECT
from ktrace.recording.requests import RecordedRequest
from ktrace.recording.trace_context import TraceContext
from tests.fakes.http import FakeServer, Reply, write_kubeconfig

TRACE, SPAN, PARENT = "1" * 32, "2" * 16, "3" * 16
OURS = TraceContext(TRACE, SPAN)
OTHERS = f"00-{'a' * 32}-{'b' * 16}-01"


def sent_with(server: FakeServer, folder: Path, trace: TraceContext | None, **headers: str) -> str:
    """The span id that was recorded, after a request with ``headers``."""
    server.answer = lambda _: Reply(200, "{}")
    write_kubeconfig(folder / "config", server.url)
    with recording(folder / "config", trace) as (environment, recorder):
        document = yaml.safe_load(Path(environment["KUBECONFIG"]).read_text())
        httpx.get(f"{document['clusters'][0]['cluster']['server']}/version", headers=headers)
    (request,) = recorder.requests
    return request.span_id


def test_each_request_is_a_span_of_the_trace(server: FakeServer, tmp_path: Path) -> None:
    ids = {sent_with(server, tmp_path, OURS, tracestate="lone=1") for _ in range(2)}
    received = [request.headers for request in server.asked("GET", "/version")]
    assert {headers["traceparent"] for headers in received} == {
        f"00-{TRACE}-{span_id}-01" for span_id in ids
    }
    assert len(ids) == 2
    assert not any("tracestate" in headers for headers in received)


@pytest.mark.parametrize("trace", [OURS, None])
def test_a_traceparent_of_the_commands_own_is_kept(
    server: FakeServer, tmp_path: Path, trace: TraceContext | None
) -> None:
    assert not sent_with(server, tmp_path, trace, Traceparent=OTHERS, tracestate="a=1")
    (received,) = server.asked("GET", "/version")
    assert received.headers["traceparent"] == OTHERS
    assert received.headers["tracestate"] == "a=1"


def test_without_a_trace_nothing_is_added(server: FakeServer, tmp_path: Path) -> None:
    assert not sent_with(server, tmp_path, None)
    (received,) = server.asked("GET", "/version")
    assert "traceparent" not in received.headers


@pytest.mark.parametrize(("trace", "expected"), [(OURS, f"00-{TRACE}-{SPAN}-01"), (None, OTHERS)])
def test_the_command_can_go_on_with_the_trace(
    server: FakeServer, tmp_path: Path, trace: TraceContext | None, expected: str
) -> None:
    write_kubeconfig(tmp_path / "config", server.url)
    program = "import os; print(os.environ['TRACEPARENT'])"
    with recording(tmp_path / "config", trace) as (environment, _):
        told = subprocess.check_output(
            [sys.executable, "-c", program],
            env={**os.environ, "TRACEPARENT": OTHERS, **environment},
            text=True,
        )
    assert told == f"{expected}\n"


def test_a_trace_of_a_ci_job_is_continued() -> None:
    trace = trace_context.begin({"TRACEPARENT": f"00-{TRACE}-{PARENT}-00"})
    assert (trace.trace_id, trace.parent_id) == (TRACE, PARENT)
    assert trace.span_id not in {PARENT, "0" * 16}
    later = trace_context.begin({"TRACEPARENT": f"01-{TRACE}-{PARENT}-01-more"})
    assert (later.trace_id, later.parent_id) == (TRACE, PARENT)


@pytest.mark.parametrize(
    "given",
    [
        "",
        "nonsense",
        f"ff-{TRACE}-{PARENT}-01",
        f"00-{'0' * 32}-{PARENT}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE}-{PARENT}-01-more",
        f"00-{TRACE.replace('1', 'A')}-{PARENT}-01",
        f"00-{TRACE}-{PARENT}-01\n",
    ],
)
def test_what_is_no_traceparent_begins_a_trace(given: str) -> None:
    trace = trace_context.begin({"TRACEPARENT": given})
    assert trace.trace_id != TRACE
    assert re.fullmatch("[0-9a-f]{18}f{14}", trace.trace_id)
    assert not trace.parent_id


def test_the_command_and_its_requests_are_spans(server: FakeServer) -> None:
    server.answer = lambda _: Reply(200)
    path = "/api/v1/namespaces/n/pods?token=secret"
    requests = [
        RecordedRequest("POST", path, 1.25, 1.5, 201, "id-1", NO_OBJECT, (), "4" * 16),
        RecordedRequest("GET", "/version", 1.5, 1.75, span_id="5" * 16),
        RecordedRequest("GET", "/of/its/own", 1.5, 1.75, 200),
    ]
    trace = TraceContext(TRACE, SPAN, PARENT)
    ended = EndedCommand("/usr/bin/kubectl", 1, 1.0, 2.0)
    assert (
        command_spans.send(
            otlp.Collector.at(server.url), command_spans.of_command(trace, ended, requests)
        )
        == ""
    )
    (request,) = server.asked("POST", "/v1/traces")
    (resource,) = request.body["resourceSpans"]
    root, create, version = resource["scopeSpans"][0]["spans"]
    assert "secret" not in str(request.body)
    assert {span["traceId"] for span in (root, create, version)} == {TRACE}
    assert (root["spanId"], root["parentSpanId"], root["kind"]) == (SPAN, PARENT, otlp.INTERNAL)
    assert (root["startTimeUnixNano"], root["endTimeUnixNano"]) == ("1000000000", "2000000000")
    assert root["name"] == "ktrace run kubectl"
    assert {"key": "process.exit.code", "value": {"intValue": "1"}} in root["attributes"]
    assert root["status"] == {"code": 2}
    assert (create["spanId"], create["parentSpanId"], create["kind"]) == ("4" * 16, SPAN, 3)
    assert create["name"] == "create pods"
    assert {"key": "audit-id", "value": {"stringValue": "id-1"}} in create["attributes"]
    assert "status" not in create
    assert (version["name"], version["status"]) == ("GET", {"code": 2})


def test_a_collector_that_does_not_answer_costs_a_bounded_time(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command_spans, "_SECONDS", 0.3)
    monkeypatch.setattr(command_spans, "_BATCH", 1)

    def slow(_: object) -> Reply:
        time.sleep(0.2)
        return Reply(200)

    server.answer = slow
    spans = [otlp.SentSpan(TRACE, SPAN, "x", 1, 2)] * 20
    begin = time.monotonic()
    assert command_spans.send(otlp.Collector.at(server.url), spans)
    assert time.monotonic() - begin < 1.5


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "http://127.0.0.1:x", "gopher://x", ""])
def test_a_collector_that_cannot_be_reached_is_told(url: str) -> None:
    assert command_spans.send(otlp.Collector.at(url), [otlp.SentSpan(TRACE, SPAN, "x", 1, 2)])


def test_a_collector_that_refuses_is_told(server: FakeServer) -> None:
    server.answer = lambda _: Reply(503)
    assert "503" in command_spans.send(
        otlp.Collector.at(server.url), [otlp.SentSpan(TRACE, SPAN, "x", 1, 2)]
    )
