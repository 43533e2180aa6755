"""What the nodes send before the collector answers is not lost."""

from __future__ import annotations

import json
import secrets
import time

import httpx

from tests.live.stack import Stack
from tests.live.starts import RETRY_SECONDS
from tests.live.traces import search
from tests.live.waiting import until

REQUESTS_SECONDS = 0.6
"""Longer than OTEL_BSP_SCHEDULE_DELAY: spans are sent while the collector is away."""
IN_TIME_SECONDS = 4.0
"""An exporter gives a batch up after 10 s (OpenTelemetry's OTEL_EXPORTER_OTLP_TIMEOUT). gRPC looks
for the collector 1, 2.6, 5.2 and 9.3 s after it went, each pause 20 % longer or shorter (grpc-go
backoff.DefaultConfig): a collector that is back after this is found in time, one that takes longer
may not be. In an up, it is there before a node sends its first span."""
ATTEMPTS = 10
"""A busy machine takes longer to start the container."""


def test_no_span_is_lost_while_there_is_no_collector(stack: Stack) -> None:
    """Requests of known names, all the time: the first and the last of them wait differently."""
    with stack.disturbed():
        for _ in range(ATTEMPTS):
            _wait_for_a_connection(stack)
            begin = time.time()
            names = _requests_without_a_collector(stack)
            if time.time() < begin + IN_TIME_SECONDS:
                break
        else:
            raise AssertionError(f"the collector was never back within {IN_TIME_SECONDS:g} s")
        sent = time.time()
        until("every request", lambda: set(names) <= _named(stack, begin, sent), RETRY_SECONDS)


def _wait_for_a_connection(stack: Stack) -> None:
    """Not of one request: after a long absence the exporter gives up more than one batch."""
    begin = time.time()

    def arrives() -> bool:
        _request(stack)
        return bool(_named(stack, begin, time.time()))

    until("a request", arrives, RETRY_SECONDS)


def _requests_without_a_collector(stack: Stack) -> list[str]:
    """Their names; returns when the collector is back."""
    stack.docker("kill", stack.collector)
    ends, names = time.monotonic() + REQUESTS_SECONDS, []
    while time.monotonic() < ends:
        names.append(_request(stack))
    stack.docker("start", stack.collector)
    until("the collector", lambda: _is_ready(stack), RETRY_SECONDS, every=0.05)
    return names


def _is_ready(stack: Stack) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{stack.ports['collectorHealthPort']}").is_success
    except httpx.HTTPError:
        return False


def _request(stack: Stack) -> str:
    """The name of a namespace that is asked for and does not exist."""
    name = f"absent-{secrets.token_hex(4)}"
    stack.kubectl("get", "namespace", name, check=False)
    return name


def _named(stack: Stack, since: float, before: float) -> set[str]:
    """Names of the requests of this test in spans of the API server."""
    traces = search(stack.jaeger_url, "apiserver", since=since, before=before)
    words = json.dumps([trace.document for trace in traces]).replace("/", '"').split('"')
    return {word for word in words if word.startswith("absent-")}
