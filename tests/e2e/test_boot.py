"""The nodes boot beside the collector: what they send before it answers is not lost."""

from __future__ import annotations

import json
import secrets
import time
from datetime import datetime

from tests.live.stack import Stack
from tests.live.traces import search
from tests.live.waiting import until

ABSENT_SECONDS = 10.0
"""In an up, the collector is there before a node sends its first span."""
RETRY_SECONDS = 60
"""How long the nodes' exporters try again (OTLP gRPC exporter of OpenTelemetry for Go)."""


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


def test_the_boot_is_in_jaeger(stack: Stack) -> None:
    """Unless an up has just made them, the nodes have run for a while: Jaeger has it still."""
    started = stack.docker.inspect(stack.server)["State"]["StartedAt"]
    booted = datetime.fromisoformat(started).timestamp()
    listed = json.loads(stack.kubectl("get", "node", stack.server, "-o", "json"))
    created = datetime.fromisoformat(listed["metadata"]["creationTimestamp"]).timestamp()
    for service in ("apiserver", "kubelet"):
        early = search(stack.jaeger_url, service, since=booted, before=created + 2)
        assert early, f"the spans of {service}'s boot are lost"
