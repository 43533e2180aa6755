"""The spans that ktrace sends itself, as JSON over OTLP/HTTP to a collector."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ktrace.addresses import reached
from runtime_observability.host.http import httpx

SERVICE = "ktrace"
INTERNAL, CLIENT = 1, 3
"""Kinds of spans (opentelemetry-proto v1.3.0, trace/v1/trace.proto)."""
_ERROR = 2
_PATH = "/v1/traces"


@dataclass(frozen=True)
class SentSpan:
    """Ids are hexadecimal; ``start`` and ``end`` are in nanoseconds since the Unix epoch."""

    trace_id: str
    span_id: str
    name: str
    start: int
    end: int
    parent_id: str = ""
    kind: int = INTERNAL
    attributes: Mapping[str, str | int] = field(default_factory=dict)
    failed: bool = False

    def document(self) -> dict[str, Any]:
        """The span in OTLP's JSON, where 64-bit integers are strings."""
        document: dict[str, Any] = {
            "traceId": self.trace_id,
            "spanId": self.span_id,
            "name": self.name,
            "kind": self.kind,
            "startTimeUnixNano": str(self.start),
            "endTimeUnixNano": str(self.end),
        }
        if self.parent_id:
            document["parentSpanId"] = self.parent_id
        if self.attributes:
            document["attributes"] = _attributes(self.attributes)
        if self.failed:
            document["status"] = {"code": _ERROR}
        return document


def new_trace_id() -> str:
    """It ends in ones: a collector's sampler in proportional mode keeps it at any rate but 0."""
    return secrets.token_hex(9) + "f" * 14


def new_span_id() -> str:
    return secrets.token_hex(8)


@dataclass(frozen=True)
class Collector:
    """``url`` takes traces; ``headers`` may be secret."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def at(cls, otlp_http: str) -> Collector:
        """Of the address that takes every signal: that of traces is below it."""
        base = otlp_http.rstrip("/")
        return cls(base if base.endswith(_PATH) else f"{base}{_PATH}")


def send(collector: Collector, spans: Sequence[SentSpan], seconds: float) -> None:
    """Raises httpx.HTTPError; ``seconds`` is for each step of the request: connect, send, answer.

    The environment's proxies are used where the collector is not on this machine.
    """
    sent = [span.document() for span in spans]
    resource = {"attributes": _attributes({"service.name": SERVICE})}
    post(collector, [{"resource": resource, "scopeSpans": [{"spans": sent}]}], seconds)


def post(collector: Collector, resource_spans: Sequence[Mapping[str, Any]], seconds: float) -> None:
    """Like ``send``, for spans that are OTLP's JSON already."""
    httpx.post(
        collector.url,
        json={"resourceSpans": list(resource_spans)},
        headers=dict(collector.headers),
        timeout=seconds,
        **reached(collector.url),
    ).raise_for_status()


def _attributes(values: Mapping[str, str | int]) -> list[dict[str, Any]]:
    return [
        {
            "key": key,
            "value": {"intValue": str(value)} if isinstance(value, int) else {"stringValue": value},
        }
        for key, value in values.items()
    ]
