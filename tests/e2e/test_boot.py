"""The nodes boot beside the collector: what they send before it answers is not lost."""

from __future__ import annotations

import json
import secrets
import time

from tests.live.pods import wait_for_api
from tests.live.stack import Stack
from tests.live.traces import search
from tests.live.waiting import until

LATE_SECONDS = 10.0
"""How long after the node's start the collector comes; in an up it is there first."""
RETRY_SECONDS = 60
"""How long the nodes' exporters try again (OTLP gRPC exporter of OpenTelemetry for Go)."""
REQUESTS = 20


def test_no_span_of_a_boot_is_lost_while_there_is_no_collector(stack: Stack) -> None:
    """Every request of a known name, and the boot itself."""
    names = [f"boot-{secrets.token_hex(4)}" for _ in range(REQUESTS)]
    with stack.disturbed():
        stack.docker("stop", "--time", "5", stack.collector)
        stack.docker("kill", "--signal", "KILL", stack.server)
        booted = time.time()
        stack.docker("start", stack.server)
        wait_for_api(stack)
        for name in names:
            stack.kubectl("get", "namespace", name, check=False)
        sent = time.time()
        time.sleep(max(0.0, booted + LATE_SECONDS - sent))
        stack.docker("start", stack.collector)
        until("every request", lambda: set(names) <= _named(stack, names, sent), RETRY_SECONDS)
        for service in ("apiserver", "kubelet"):
            early = search(stack.jaeger_url, service, since=booted, before=sent)
            assert early, f"the spans of {service}'s boot are lost"
    stack.up()


def _named(stack: Stack, names: list[str], before: float) -> set[str]:
    """Those of ``names`` that are in a span of the API server from before ``before``."""
    traces = search(stack.jaeger_url, "apiserver", since=before - 10, before=before)
    text = json.dumps([trace.document for trace in traces])
    return {name for name in names if name in text}
