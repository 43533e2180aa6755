"""The spans and the records of a command's requests, and of its neighbours', in a few lines."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ktrace.jaeger import Span, Trace
from ktrace.recording.object_reference import ObjectReference
from ktrace.recording.requests import RecordedRequest

BEGIN = 1_700_000_000_000_000
"""In microseconds; a whole second."""
CONFIGMAPS = "/api/v1/namespaces/default/configmaps"


def span(span_id: str, start: int, took: int, parent: str = "", **of: Any) -> Span:
    """Times are in milliseconds after BEGIN; ``of``: trace, service, operation, and tags."""
    return Span(
        of.pop("trace", "t1"),
        span_id,
        parent or None,
        of.pop("service", "apiserver"),
        of.pop("operation", "request"),
        BEGIN + start * 1000,
        took * 1000,
        {key.replace("__", "."): value for key, value in of.items()},
    )


@dataclass(frozen=True)
class Made:
    """A request: ``webhooks`` are milliseconds that each took, negative without an answer."""

    audit_id: str
    method: str = "PATCH"
    path: str = f"{CONFIGMAPS}/a"
    agent: str = "kubectl/v1"
    status: int = 200
    start: int = 0
    took: int = 10
    webhooks: tuple[int, ...] = ()
    parent: str = ""
    below: tuple[Made, ...] = field(default=())
    """Requests that a webhook made meanwhile."""

    @property
    def recorded(self) -> RecordedRequest:
        begin = BEGIN / 1_000_000 + self.start / 1000
        return RecordedRequest(
            self.method,
            self.path,
            begin,
            begin + self.took / 1000,
            self.status,
            self.audit_id,
            ObjectReference("a", "u"),
            client=self.agent,
        )

    def spans(self, trace: str = "t1") -> list[Span]:
        own = f"s-{self.audit_id}"
        tags = {
            "span.kind": "server",
            "http.request.method": self.method,
            "http.target": self.path,
            "user_agent.original": self.agent,
            "http.response.status_code": self.status,
            "audit-id": self.audit_id,
        }
        found = [span(own, self.start, self.took, self.parent, trace=trace, **tags)]
        for number, took in enumerate(self.webhooks):
            hook = f"{own}-{number}"
            failed: dict[str, Any] = {"error": True} if took < 0 else {}
            operation = "Call validating webhook"
            names = {"configuration": "policy", "webhook": f"w{number}.example.com"}
            of = {"trace": trace, "operation": operation, **names, **failed}
            found.append(span(hook, self.start, abs(took), own, **of))
            for nested in self.below if not number else ():
                inner = f"{hook}-own"
                of = {"trace": trace, "service": "webhook", "operation": "review"}
                found.append(span(inner, self.start, 1, hook, **of))
                found += Made(**{**vars(nested), "parent": inner}).spans(trace)
        return found


def joined(*requests: Made, trace: str = "t1") -> Trace:
    """One trace of a command's span and all of ``requests`` below it: the command's or not."""
    root = span("root", 0, 1000, trace=trace, service="ktrace", operation="ktrace run kubectl")
    below = (Made(**{"parent": "root", **vars(one), **_under(one)}) for one in requests)
    spans = [root, *(found for one in below for found in one.spans(trace))]
    return Trace(trace, tuple(sorted(spans, key=lambda one: one.start)))


def _under(request: Made) -> dict[str, str]:
    return {"parent": request.parent or "root"}
