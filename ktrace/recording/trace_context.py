"""The trace that a command begins or, in a CI job that is traced, continues.

W3C Trace Context, level 1: https://www.w3.org/TR/trace-context/. The environment variable is the
convention of opentelemetry.io/docs/specs/otel/context/env-carriers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from ktrace import otlp

HEADER, STATE_HEADER = "traceparent", "tracestate"
VARIABLE = "TRACEPARENT"
_SAMPLED = "01"
_TRACEPARENT = re.compile(
    r"(?!ff)(?P<version>[0-9a-f]{2})-(?!0{32})(?P<trace>[0-9a-f]{32})-(?!0{16})(?P<span>[0-9a-f]{16})"
    r"-[0-9a-f]{2}(?P<more>-.*)?"
)


@dataclass(frozen=True)
class TraceContext:
    """``span_id`` is of the command's span, ``parent_id`` of what caused it or empty."""

    trace_id: str
    span_id: str
    parent_id: str = ""

    def traceparent(self, span_id: str) -> str:
        """The header's value for what the span causes. Sampled: who asks wants to see it."""
        return f"00-{self.trace_id}-{span_id}-{_SAMPLED}"

    @property
    def environment(self) -> dict[str, str]:
        """What a command that traces itself continues."""
        return {VARIABLE: self.traceparent(self.span_id)}


def begin(environment: Mapping[str, str]) -> TraceContext:
    """A new trace, or the one that ``environment`` names; what is no traceparent is ignored."""
    given = _TRACEPARENT.fullmatch(environment.get(VARIABLE, ""))
    if given is None or (given["version"] == "00" and given["more"]):
        return TraceContext(otlp.new_trace_id(), otlp.new_span_id())
    return TraceContext(given["trace"], otlp.new_span_id(), given["span"])
