"""What the nodes send before the collector answers is not lost."""

from __future__ import annotations

import json
import secrets
import time

from tests.live.stack import Stack
from tests.live.starts import RETRY_SECONDS
from tests.live.traces import search
from tests.live.waiting import until

ABSENT_SECONDS = 3.0
"""An exporter gives a batch up after 10 s (OpenTelemetry's OTEL_EXPORTER_OTLP_TIMEOUT). gRPC looks
for the collector 1, 2.6, 5.2 and 9.3 s after it went, each pause 20 % longer or shorter (grpc-go
backoff.DefaultConfig), and Docker takes a second to start it: after 3 s one of these is in time,
after 8 s none may be. In an up, it is there before a node sends its first span."""


def test_no_span_is_lost_while_there_is_no_collector(stack: Stack) -> None:
    """Requests of known names, all the time: the first and the last of them wait differently."""
    begin, names = time.time(), []
    with stack.disturbed():
        stack.docker("stop", "--time", "5", stack.collector)
        while time.time() < begin + ABSENT_SECONDS:
            names.append(f"absent-{secrets.token_hex(4)}")
            stack.kubectl("get", "namespace", names[-1], check=False)
        stack.docker("start", stack.collector)
        sent = time.time()
        until("every request", lambda: set(names) <= _named(stack, begin, sent), RETRY_SECONDS)


def _named(stack: Stack, since: float, before: float) -> set[str]:
    """Names of the requests of this test in spans of the API server."""
    traces = search(stack.jaeger_url, "apiserver", since=since, before=before)
    words = json.dumps([trace.document for trace in traces]).replace("/", '"').split('"')
    return {word for word in words if word.startswith("absent-")}
