"""A span that ktrace itself sends to the collector, to see whether it arrives in Jaeger."""

from __future__ import annotations

import time
from dataclasses import dataclass

from ktrace import otlp
from ktrace.jaeger import Jaeger, JaegerError
from ktrace.text import clean
from runtime_observability.host.http import httpx

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
    """Sends one span over OTLP/HTTP and returns its trace id; raises httpx.HTTPError."""
    now = time.time_ns()
    span = otlp.SentSpan(
        otlp.new_trace_id(), otlp.new_span_id(), "ktrace verify", now - 1_000_000, now
    )
    otlp.send(otlp.Collector.at(otlp_http), [span], _REQUEST_SECONDS)
    return span.trace_id
