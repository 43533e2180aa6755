"""A span that ktrace itself sends to the collector, to see whether it arrives in Jaeger."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass

from ktrace.jaeger import Jaeger, JaegerError
from ktrace.text import clean
from runtime_observability.host.http import httpx

_SERVICE = "ktrace"
_REQUEST_SECONDS = 5
_ARRIVAL_SECONDS = 10.0
_POLL_SECONDS = 0.2


@dataclass(frozen=True)
class Synthetic:
    """Whether the span arrived, the seconds until Jaeger had it, and what was seen if not."""

    ok: bool
    seconds: float | None = None
    evidence: str = ""


def send_and_wait(otlp_http: str, jaeger: Jaeger) -> Synthetic:
    """Sends a span to the collector at ``otlp_http`` and waits until ``jaeger`` has it."""
    begin = time.monotonic()
    try:
        trace_id = send(otlp_http)
    except httpx.HTTPError as error:
        reason = clean(str(error)) or type(error).__name__
        return Synthetic(False, evidence=f"the collector did not accept it: {reason}")
    problem = ""
    while time.monotonic() - begin < _ARRIVAL_SECONDS:
        try:
            if jaeger.trace(trace_id):
                return Synthetic(True, round(time.monotonic() - begin, 2))
            problem = ""
        except JaegerError as error:
            problem = str(error)
        time.sleep(_POLL_SECONDS)
    if problem:
        return Synthetic(False, evidence=problem)
    return Synthetic(
        False,
        evidence=f"the collector accepted it, but after {_ARRIVAL_SECONDS:g} s Jaeger does not "
        "have it",
    )


def send(otlp_http: str) -> str:
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
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": _SERVICE}}]}
    httpx.post(
        f"{otlp_http}/v1/traces",
        json={"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": [span]}]}]},
        timeout=_REQUEST_SECONDS,
        trust_env=False,
    ).raise_for_status()
    return trace_id
