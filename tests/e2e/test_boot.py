"""The nodes boot beside the collector: what they send before it answers is not lost."""

from __future__ import annotations

import time

from tests.live.pods import pods, wait_for_api
from tests.live.stack import Stack
from tests.live.starts import promised, start_of
from tests.live.traces import search
from tests.live.waiting import until

RETRY_SECONDS = 60
"""How long the nodes' exporters try again (OTLP gRPC exporter of OpenTelemetry for Go)."""
PODS = 10


def test_no_span_of_a_boot_without_a_collector_is_lost(stack: Stack) -> None:
    """The whole boot and ten pods' starts, which is more than an up ever asks of the exporters."""
    with stack.disturbed():
        stack.docker("stop", "--time", "5", stack.collector)
        stack.docker("kill", "--signal", "KILL", stack.server)
        booted = time.time()
        stack.docker("start", stack.server)
        wait_for_api(stack)
        answered = time.time()
        with pods(stack, "sleep", "600", count=PODS) as many:
            many.wait_for("Running")
            stack.docker("start", stack.collector)
            for number in range(PODS):
                name = f"{many.name}-{number}"
                trace = until(name, lambda pod=name: start_of(stack, pod), RETRY_SECONDS)  # type: ignore[misc]
                assert trace.whole, f"{name} has lost spans"
                assert promised(stack) <= trace.services
        for service in ("apiserver", "kubelet"):
            early = search(stack.jaeger_url, service, since=booted, before=answered)
            assert early, f"the spans of {service}'s boot are lost"
    stack.up()
