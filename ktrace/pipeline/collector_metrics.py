"""The collector's own counters: what came in, what went out, what waits."""

from __future__ import annotations

import re
import secrets
import time
from dataclasses import dataclass

import httpx

_LINE = re.compile(
    r"^otelcol_(?P<name>\w+?)(?:_total)?(?:\{[^}]*\})? (?P<value>[0-9.eE+-]+)$", re.M
)
_SECONDS = 5


@dataclass(frozen=True)
class Counters:
    """Spans, summed over receivers and exporters, since the collector started."""

    accepted: int = 0
    refused: int = 0
    sent: int = 0
    failed: int = 0
    waiting: int = 0
    """Batches in the exporters' queues."""


def read(url: str) -> Counters:
    """Raises httpx.HTTPError when the collector does not answer."""
    return parse(httpx.get(url, timeout=_SECONDS, trust_env=False).raise_for_status().text)


def parse(text: str) -> Counters:
    """Names are the same with and without ``_total`` (collector 0.111 and later choose)."""
    sums: dict[str, float] = {}
    for match in _LINE.finditer(text):
        sums[match["name"]] = sums.get(match["name"], 0) + float(match["value"])
    return Counters(
        accepted=int(sums.get("receiver_accepted_spans", 0)),
        refused=int(sums.get("receiver_refused_spans", 0)),
        sent=int(sums.get("exporter_sent_spans", 0)),
        failed=int(sums.get("exporter_send_failed_spans", 0)),
        waiting=int(sums.get("exporter_queue_size", 0)),
    )


def send_span(otlp_http: str, service: str) -> str:
    """Sends one span over OTLP/HTTP and returns its trace id; raises httpx.HTTPError.

    The id ends in ones: a sampler in proportional mode keeps it at any rate but 0.
    """
    trace_id = secrets.token_hex(9) + "f" * 14
    now = time.time_ns()
    span = {
        "traceId": trace_id,
        "spanId": secrets.token_hex(8),
        "name": "ktrace verify",
        "kind": 1,
        "startTimeUnixNano": str(now - 1_000_000),
        "endTimeUnixNano": str(now),
    }
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": service}}]}
    httpx.post(
        f"{otlp_http}/v1/traces",
        json={"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": [span]}]}]},
        timeout=_SECONDS,
        trust_env=False,
    ).raise_for_status()
    return trace_id
