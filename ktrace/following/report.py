"""The report of ``ktrace run``: the command, its requests, and what followed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ktrace.activity.requests import ApiRequest, WebhookCall, requests_in
from ktrace.components import APISERVER
from ktrace.document import versioned
from ktrace.following.followed_pod import FollowedPod
from ktrace.following.follower import Followed
from ktrace.following.refusals import Refusal
from ktrace.jaeger import Trace
from ktrace.recording.requests import RecordedRequest
from ktrace.view import ending as ending_view
from ktrace.view import start as start_view
from ktrace.view import verdicts

if TYPE_CHECKING:
    from ktrace.expect.verdict import Judged


@dataclass(frozen=True)
class Report:
    """``code`` is the command's exit code; ``problem`` says why the report is incomplete."""

    command: tuple[str, ...]
    code: int
    requests: tuple[RecordedRequest, ...]
    followed: Followed
    jaeger_url: str
    problem: str = ""
    notes: tuple[str, ...] = ()
    """What limits the report without making it incomplete."""
    trace_id: str = ""
    """Of the command's own trace; empty if it has none in Jaeger."""
    judged: Judged | None = None
    """What became of the expectations; None without any."""

    @property
    def whole(self) -> bool:
        """Whether each request has its trace, and no span of a pod is known to be missing."""
        has_traces = all(self._trace_of(request) for request in self.requests)
        return has_traces and all(pod.whole for pod in self.followed.pods)

    @property
    def page(self) -> str | None:
        """Jaeger's page of the command's own trace; None if it has none there."""
        return f"{self.jaeger_url}/trace/{self.trace_id}" if self.trace_id else None

    @property
    def requests_in_trace(self) -> int | None:
        """Of how many requests the API server's spans were seen in the command's own trace."""
        if not self.trace_id:
            return None
        traces = filter(None, map(self._trace_of, self.requests))
        return sum(trace.id == self.trace_id for trace in traces)

    @property
    def requests_seen(self) -> int:
        """Number of requests of which the API server's spans were seen in any trace."""
        return sum(self._trace_of(request) is not None for request in self.requests)

    @cached_property
    def _observed(self) -> Mapping[str, ApiRequest]:
        """What the API server's spans tell of the requests, by Audit-Id."""
        traces = {trace.id: trace for trace in self.followed.traces.values()}
        return {seen.audit_id: seen for seen in requests_in(traces.values())}

    def webhooks(self, request: RecordedRequest) -> list[tuple[WebhookCall, bool]]:
        """The admission webhooks that were called for it, each with whether it failed open."""
        seen = self._observed.get(request.audit_id) if request.audit_id else None
        return [(call, seen.failed_open(call)) for call in seen.calls] if seen else []

    def document(self) -> dict[str, Any]:
        """The shape that ``run --json`` promises: docs/schemas/run.json."""
        return versioned(
            {
                "traceUrl": self.page,
                "requestsInTrace": self.requests_in_trace,
                "command": list(self.command),
                "exitCode": self.code,
                "quiet": self.followed.quiet,
                "problem": self.problem or None,
                "notes": list(self.notes),
                "requests": list(map(self._request_document, self.requests)),
                "pods": list(map(self._pod_document, self.followed.pods)),
                "refusals": list(map(_refusal_document, self.followed.refusals)),
                "removed": [one.document() for one in self.followed.removed],
                "refusedRemovals": [one.document() for one in self.followed.refused],
                "expectations": verdicts.entries(self.judged) if self.judged else None,
            }
        )

    def _request_document(self, request: RecordedRequest) -> dict[str, Any]:
        info = request.info
        return {
            "auditId": request.audit_id or None,
            "kind": info.kind,
            "verb": info.verb,
            "resource": info.resource or request.path.partition("?")[0],
            "namespace": info.namespace or None,
            "name": info.name or None,
            "status": request.status,
            "durationMs": round(self.duration_ms(request), 1),
            "webhooks": [
                {
                    "webhook": call.webhook,
                    "kind": call.kind,
                    "durationMs": round(call.duration / 1000, 1),
                    "failed": call.failed,
                    "failedOpen": failed_open,
                }
                for call, failed_open in self.webhooks(request)
            ],
            "traceUrl": self.request_url(request),
        }

    def _pod_document(self, pod: FollowedPod) -> dict[str, Any]:
        start = start_view.document(pod.start, self.jaeger_url) if pod.start else {}
        looked_at = pod.start.looked_at if pod.start else None
        return {
            "namespace": pod.namespace,
            "name": pod.name,
            "uid": pod.uid or None,
            "node": pod.node or None,
            "phase": pod.phase or None,
            "cause": pod.cause or None,
            "outcome": pod.outcome,
            "complete": pod.complete,
            "containersStarted": pod.started,
            "containersWanted": pod.wanted,
            "durationMs": _rounded(pod.duration_ms),
            "terminationMs": _rounded(pod.termination_ms),
            "endCause": pod.end_cause,
            "ending": ending_view.entry(pod.ending, self.jaeger_url) if pod.ending else None,
            "services": pod.services,
            "errors": pod.errors,
            "waitingFor": [start_view.waiting_of(waiting, looked_at) for waiting in pod.waiting],
            "steps": start.get("steps", []),
            "notes": start.get("notes", []),
            "missing": list(pod.missing),
            "traceUrl": self.trace_url(pod.longest),
            "traceUrls": [self.trace_url(trace) for trace in pod.traces],
        }

    def duration_ms(self, request: RecordedRequest) -> float:
        """The API server's own time if Jaeger has it, else the time that ktrace measured.

        A trace may hold more than the request: the command's, or that of a client which traces
        itself.
        """
        trace = self._trace_of(request)
        spans = trace.spans if trace else ()
        own_spans = [
            span
            for span in spans
            if span.service == APISERVER and span.tags.get("audit-id") == request.audit_id
        ]
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


def _refusal_document(refusal: Refusal) -> dict[str, Any]:
    return {
        "namespace": refusal.namespace,
        "kind": refusal.controller.kind,
        "name": refusal.controller.name,
        "message": refusal.message,
        "times": refusal.times,
    }


def _rounded(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else round(milliseconds, 1)
