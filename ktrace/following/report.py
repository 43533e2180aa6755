"""The report of ``ktrace run``: the command, its requests, and what followed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ktrace.components import APISERVER
from ktrace.following.follower import Followed
from ktrace.jaeger import Trace
from ktrace.recording.requests import RecordedRequest


@dataclass(frozen=True)
class Report:
    """``code`` is the command's exit code; ``problem`` says why the report is incomplete."""

    command: tuple[str, ...]
    code: int
    requests: tuple[RecordedRequest, ...]
    followed: Followed
    jaeger_url: str
    problem: str = ""

    def document(self) -> dict[str, Any]:
        """The shape that ``run --json`` promises."""
        return {
            "exitCode": self.code,
            "quiet": self.followed.quiet,
            "problem": self.problem or None,
            "requests": [
                {
                    "auditId": request.audit_id or None,
                    "verb": request.info.verb,
                    "resource": request.info.resource or request.path.partition("?")[0],
                    "namespace": request.info.namespace or None,
                    "name": request.info.name or None,
                    "status": request.status,
                    "durationMs": round(self.duration_ms(request), 1),
                    "traceUrl": self.request_url(request),
                }
                for request in self.requests
            ],
            "pods": [
                {
                    "namespace": pod.namespace,
                    "name": pod.name,
                    "phase": pod.phase or None,
                    "services": pod.services,
                    "errors": pod.errors,
                    "durationMs": None if pod.duration_ms is None else round(pod.duration_ms, 1),
                    "traceUrl": self.trace_url(pod.longest),
                    "traceUrls": [self.trace_url(trace) for trace in pod.traces],
                }
                for pod in self.followed.pods
            ],
        }

    def duration_ms(self, request: RecordedRequest) -> float:
        """The API server's own time if Jaeger has it, else the time that ktrace measured.

        A trace may hold more than the request: that of a client which traces itself.
        """
        trace = self._trace_of(request)
        spans = trace.spans if trace else ()
        own_spans = [span for span in spans if span.tags.get("audit-id") == request.audit_id]
        if trace and own_spans:
            return trace.outermost(own_spans[0], APISERVER).duration / 1000
        return (request.ended - request.started) * 1000

    def request_url(self, request: RecordedRequest) -> str | None:
        """Jaeger's page of its trace; None without a trace."""
        return self.trace_url(self._trace_of(request))

    def trace_url(self, trace: Trace | None) -> str | None:
        return f"{self.jaeger_url}/trace/{trace.id}" if trace else None

    def _trace_of(self, request: RecordedRequest) -> Trace | None:
        return self.followed.traces.get(request.audit_id)
