"""The spans of a command and of the requests that ktrace passed on for it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath

from ktrace import otlp
from ktrace.addresses import without_login
from ktrace.otlp import Collector, SentSpan
from ktrace.recording.requests import RecordedRequest
from ktrace.recording.trace_context import TraceContext
from ktrace.text import clean
from runtime_observability.host.http import httpx

_SECONDS = 3.0
"""For all of them: who waits for the report must not wait for a collector."""
_BATCH = 1_000
"""Spans in one request, far below the 20 MiB that a collector takes."""


@dataclass(frozen=True)
class EndedCommand:
    """``begin`` and ``end`` are Unix times in seconds, ``code`` is the exit code."""

    program: str
    code: int
    begin: float
    end: float


def of_command(
    trace: TraceContext, command: EndedCommand, requests: Sequence[RecordedRequest]
) -> list[SentSpan]:
    """The command's, and those of the requests that carried them.

    The command's arguments and the queries of its requests are left out: they may have secrets.
    """
    program = clean(PurePath(command.program).name)
    root = SentSpan(
        trace.trace_id,
        trace.span_id,
        f"ktrace run {program}",
        _nanoseconds(command.begin),
        _nanoseconds(command.end),
        trace.parent_id,
        attributes={"process.executable.name": program, "process.exit.code": command.code},
        failed=command.code != 0,
    )
    return [root, *(_of_request(trace, request) for request in requests if request.span_id)]


def send(collector: Collector, spans: Sequence[SentSpan]) -> str:
    """Returns why the collector did not accept all of them, or an empty text."""
    deadline = time.monotonic() + _SECONDS
    try:
        for first in range(0, len(spans), _BATCH):
            if (left := deadline - time.monotonic()) <= 0:
                return f"it took more than {_SECONDS:g} s"
            otlp.send(collector, spans[first : first + _BATCH], left)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return clean(without_login(str(error))) or type(error).__name__
    return ""


def _of_request(trace: TraceContext, request: RecordedRequest) -> SentSpan:
    path = clean(request.path.partition("?")[0])
    attributes: dict[str, str | int] = {"http.request.method": request.method, "url.path": path}
    if request.status:
        attributes["http.response.status_code"] = request.status
    if request.audit_id:
        attributes["audit-id"] = request.audit_id
    info = request.info
    return SentSpan(
        trace.trace_id,
        request.span_id,
        f"{info.verb} {info.resource}" if info.resource else request.method,
        _nanoseconds(request.started),
        _nanoseconds(request.ended),
        trace.span_id,
        otlp.CLIENT,
        attributes,
        failed=not request.status or request.status >= 400,
    )


def _nanoseconds(seconds: float) -> int:
    return int(seconds * 1_000_000_000)
