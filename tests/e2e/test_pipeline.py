"""Users' own spans reach Jaeger through the collector, even those sent while Jaeger is down."""

from __future__ import annotations

import secrets
from urllib.parse import urlsplit

from tests.live import traces
from tests.live.pods import pods
from tests.live.stack import Stack
from tests.live.waiting import until


def test_a_program_on_the_host_sends_its_spans_to_the_exported_endpoint(stack: Stack) -> None:
    service = f"host-{secrets.token_hex(3)}"
    traces.send(stack.outputs["otlpHttpEndpoint"], service, "work")
    until("the span from the host", lambda: traces.search(stack.jaeger_url, service, "work"), 15)


def test_a_pod_sends_its_own_span_to_the_endpoint_for_the_cluster(stack: Stack) -> None:
    service = f"operator-{secrets.token_hex(3)}"
    host = urlsplit(stack.outputs["otlpEndpointInCluster"]).hostname
    post = ["wget", "-q", "-O", "-", "--header", "Content-Type: application/json", "--post-data"]
    url = f"http://{host}:4318/v1/traces"
    span = traces.otlp(service, "reconcile")
    # Restarted on failure, because the DNS of a new cluster may not have started yet.
    with pods(stack, *post, span, url, restartPolicy="OnFailure") as sender:
        sender.wait_for("Succeeded")
        until(
            "the span from the pod",
            lambda: traces.search(stack.jaeger_url, service, "reconcile"),
            15,
        )


def test_spans_sent_while_jaeger_is_down_arrive_when_it_is_back(stack: Stack) -> None:
    service = f"patient-{secrets.token_hex(3)}"
    endpoint = stack.outputs["otlpHttpEndpoint"]
    with stack.disturbed():
        stack.docker("stop", "--time", "5", stack.jaeger)
        try:
            traces.send(endpoint, service, "while-down")
        finally:
            stack.docker("start", stack.jaeger)
        until("an answer from Jaeger", lambda: traces.answers(stack.jaeger_url), 30)
    until(
        "the span that was sent while Jaeger was down",
        lambda: traces.search(stack.jaeger_url, service, "while-down"),
        60,
    )


def test_without_sampling_nothing_is_demanded_and_up_succeeds(stack: Stack) -> None:
    before = stack.ids()
    stack.configure(collectorSamplingPerMillion=0)
    stack.up()
    assert stack.ids()[stack.server] == before[stack.server]
    assert stack.outputs["tracedComponents"] == []
    stack.expect_no_changes()
    service = f"dropped-{secrets.token_hex(3)}"
    traces.send(stack.outputs["otlpHttpEndpoint"], service, "work")
    metrics = f"http://127.0.0.1:{stack.ports['collectorMetricsPort']}/metrics"
    until("the sampler's drops", lambda: traces.sampled_out(metrics), 15)
    assert traces.search(stack.jaeger_url, service) == []
