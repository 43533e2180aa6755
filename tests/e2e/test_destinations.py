"""Destinations beside Jaeger on a real stack: what they get, and that they cost Jaeger nothing."""

from __future__ import annotations

import base64
import functools
import json
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme
import yaml

from tests.e2e.ktrace import document
from tests.live import traces
from tests.live.stack import Stack
from tests.live.waiting import until

_HEADER = "Bearer hush-hush-hush"
_SINK = """
receivers:
  otlp:
    protocols:
      grpc: {endpoint: "0.0.0.0:4317", tls: {cert_file: /tls.pem, key_file: /key.pem}}
exporters: {nop: {}}
service:
  telemetry:
    metrics: {readers: [{pull: {exporter: {prometheus: {host: 0.0.0.0, port: 8888}}}}]}
  pipelines:
    traces: {receivers: [otlp], exporters: [nop]}
    metrics: {receivers: [otlp], exporters: [nop]}
    logs: {receivers: [otlp], exporters: [nop]}
"""


class Sink:
    """A collector in the stack's network that takes OTLP over gRPC with TLS, and counts it."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        self.name = f"traced-{stack.name}-sink-{secrets.token_hex(2)}"
        self._docker = stack.docker
        authority = trustme.CA()
        certificate = authority.issue_cert(self.name)
        self.authority = authority.cert_pem.bytes().decode()
        files = {
            "config.yaml": _SINK,
            "tls.pem": b"".join(blob.bytes() for blob in certificate.cert_chain_pems).decode(),
            "key.pem": certificate.private_key_pem.bytes().decode(),
        }
        image = stack.docker.inspect(stack.collector)["Image"]
        stack.docker(
            "create", "--name", self.name, "--network", f"traced-{stack.name}",
            "--publish", "127.0.0.1::8888", image, "--config", "/config.yaml",
        )  # fmt: skip
        for name, text in files.items():
            (folder / name).write_text(text)
            (folder / name).chmod(0o644)
            stack.docker("cp", str(folder / name), f"{self.name}:/{name}")
        stack.docker("start", self.name)

    def accepted(self, items: str = "spans") -> float:
        address = self._docker("port", self.name, "8888/tcp").splitlines()[0]
        try:
            return counted(f"http://{address}/metrics", f"receiver_accepted_{items}")
        except httpx.HTTPError:
            return 0

    def has(self, items: str) -> bool:
        return self.accepted(items) > 0

    def remove(self) -> None:
        self._docker("rm", "-fv", self.name)


def counted(url: str, name: str) -> float:
    """The sum of one of a collector's counters over all its labels."""
    text = httpx.get(url, timeout=5).raise_for_status().text
    found = re.findall(rf"^otelcol_{name}(?:_total)?(?:{{.*}})? (\S+)$", text, re.M)
    return sum(map(float, found))


@pytest.fixture
def sink(stack: Stack, tmp_path: Path) -> Iterator[Sink]:
    made = Sink(stack, tmp_path)
    try:
        yield made
    finally:
        made.remove()


@contextmanager
def sending_to(stack: Stack, *exporters: dict[str, Any], memory: int) -> Iterator[None]:
    """The stack with ``exporters``: its cluster and its Jaeger are those from before."""
    before = stack.ids()
    stack.settle(exporters=list(exporters), collectorMemoryMiB=memory)
    after = stack.ids()
    changed = {name for name in before if after.get(name) != before[name]}
    assert changed <= {stack.collector}
    yield


def destinations(stack: Stack) -> dict[str, dict[str, Any]]:
    report = document(stack, "verify")
    assert report["ok"], "no destination breaks Jaeger's pipeline"
    return {found["name"]: found for found in report["destinations"]}


def metrics(stack: Stack) -> str:
    return f"http://127.0.0.1:{stack.ports['collectorMetricsPort']}/metrics"


def send_spans(stack: Stack, service: str, count: int, padding: int = 10) -> None:
    """``count`` spans in traces of 100, in one request."""
    document = json.loads(traces.otlp(service, "work"))
    scope = document["resourceSpans"][0]["scopeSpans"][0]
    (first,) = scope["spans"]
    scope["spans"] = [
        {
            **first,
            "traceId": f"{number // 100 + 1:016x}{first['traceId'][16:]}",
            "spanId": secrets.token_hex(8),
            "attributes": [{"key": "padding", "value": {"stringValue": "x" * padding}}],
        }
        for number in range(count)
    ]
    httpx.post(
        f"{stack.outputs['otlpHttpEndpoint']}/v1/traces",
        content=json.dumps(document),
        headers={"Content-Type": "application/json"},
        timeout=30,
    ).raise_for_status()


def spans_in_jaeger(stack: Stack, service: str) -> int:
    return sum(len(trace.spans) for trace in traces.search(stack.jaeger_url, service))


def test_a_destination_with_tls_and_a_header_receives_every_span(stack: Stack, sink: Sink) -> None:
    one = {
        "name": "central",
        "endpoint": f"{sink.name}:4317",
        "headers": {"authorization": _HEADER},
        "tls": {"caFile": sink.authority},
        "signals": ["traces", "metrics", "logs"],
    }
    with sending_to(stack, one, memory=512):
        send_spans(stack, f"host-{secrets.token_hex(3)}", 500)
        accepted = counted(metrics(stack), "receiver_accepted_spans")
        assert accepted >= 500
        until("every span", lambda: sink.accepted() >= accepted, 30)
        for signal, body, items in _OTHER_SIGNALS:
            assert post(stack, signal, body) == 200
            until(signal, functools.partial(sink.has, items), 15)
        central = destinations(stack)["central"]
        assert (central["ok"], central["failed"], central["dropped"]) == (True, 0, 0)
        inspected = json.dumps(stack.docker.inspect(stack.collector))
        assert "hush" not in inspected
        assert "hush" not in stack.pulumi("stack", "export").stdout
        assert "hush" not in stack.pulumi("preview", "--diff").said
        stack.expect_no_changes()


def test_a_queue_on_disk_outlives_a_killed_and_a_replaced_collector(
    stack: Stack, sink: Sink
) -> None:
    volume = f"traced-{stack.name}-queues"
    one = {
        "name": "central",
        "endpoint": f"{sink.name}:4317",
        "tls": {"caFile": sink.authority},
        "queue": "disk",
    }
    with sending_to(stack, one, memory=512):
        stack.docker("stop", "--time", "5", sink.name)
        service = f"host-{secrets.token_hex(3)}"
        send_spans(stack, service, 500)
        until("its spans in Jaeger", lambda: spans_in_jaeger(stack, service) == 500, 30)
        time.sleep(1)  # what is less than 0.2 s old can still be in a batch, in memory
        waits = destinations(stack)["central"]["queuedBytes"]
        assert waits > 0
        stack.docker("kill", stack.collector)
        stack.docker("start", stack.collector)
        until("its queue", lambda: destinations(stack)["central"]["queuedBytes"] >= waits, 30)
    with sending_to(stack, one, memory=600):
        assert destinations(stack)["central"]["queuedBytes"] >= waits
        stack.docker("start", sink.name)
        until("every span", lambda: sink.accepted() >= 500, 60)
        until("an empty queue", lambda: not destinations(stack)["central"]["queuedBytes"], 60)
        stack.expect_no_changes()
    assert volume in stack.docker("volume", "ls", "--quiet").split()
    stack.settle()
    assert volume not in stack.docker("volume", "ls", "--quiet").split()


_OTHER_SIGNALS = (
    (
        "metrics",
        {
            "resourceMetrics": [
                {
                    "scopeMetrics": [
                        {"metrics": [{"name": "m", "gauge": {"dataPoints": [{"asInt": "1"}]}}]}
                    ]
                }
            ]
        },
        "metric_points",
    ),
    (
        "logs",
        {"resourceLogs": [{"scopeLogs": [{"logRecords": [{"body": {"stringValue": "x"}}]}]}]},
        "log_records",
    ),
)


def post(stack: Stack, signal: str, body: dict[str, Any]) -> int:
    url = f"{stack.outputs['otlpHttpEndpoint']}/v1/{signal}"
    return httpx.post(url, json=body, timeout=10).status_code


@pytest.mark.parametrize(("signal", "body"), [found[:2] for found in _OTHER_SIGNALS])
def test_other_signals_are_accepted(stack: Stack, signal: str, body: dict[str, Any]) -> None:
    assert post(stack, signal, body) == 200


def test_a_batch_of_6_mb_arrives(stack: Stack) -> None:
    """Jaeger's receiver takes 4 MiB: the collector splits it."""
    service = f"large-{secrets.token_hex(3)}"
    send_spans(stack, service, 6000, padding=1000)
    until("all of its spans", lambda: spans_in_jaeger(stack, service) == 6000, 30)


def test_dead_and_refusing_destinations_cost_jaeger_nothing_and_are_told(stack: Stack) -> None:
    """The API server refuses whoever has no account, as a backend refuses a wrong password."""
    kubeconfig = yaml.safe_load((stack.directory / "kubeconfig").read_text())
    authority = kubeconfig["clusters"][0]["cluster"]["certificate-authority-data"]
    exporters = [
        {"name": "dead", "endpoint": f"{stack.server}:1", "tls": {"insecure": True}},
        {
            "name": "wrong",
            "protocol": "http",
            "endpoint": f"https://{stack.server}:6443",
            "headers": {"authorization": "Bearer wrong"},
            "tls": {"caFile": base64.b64decode(authority).decode()},
        },
    ]
    with sending_to(stack, *exporters, memory=256):
        service = f"kept-{secrets.token_hex(3)}"
        for _ in range(40):  # more than the 8 MiB of a queue
            send_spans(stack, service, 500, padding=1000)
            time.sleep(0.1)
        until("every span", lambda: spans_in_jaeger(stack, service) >= 20_000, 60)
        lost = until(
            "the losses",
            lambda: (
                {name: found for name, found in destinations(stack).items() if not found["ok"]}
                or None
            ),
            30,
        )
        assert lost.keys() == {"dead", "wrong"}
        assert lost["dead"]["dropped"] > 0
        assert (lost["wrong"]["failed"] > 0, lost["wrong"]["sent"]) == (True, 0)
        assert "connection refused" in lost["dead"]["lastError"]
        assert lost["wrong"]["lastError"].endswith("responded with HTTP Status Code 401")
