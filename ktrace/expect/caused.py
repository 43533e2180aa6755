"""What a command caused, as expectations select from it: no request, span or pod of another's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ktrace.activity.requests import NOT_KNOWN, ApiRequest, WebhookCall, requests_in
from ktrace.components import APISERVER
from ktrace.following.followed_pod import FollowedPod
from ktrace.jaeger import Trace
from ktrace.recording import requests as recording
from ktrace.recording.object_reference import ObjectReference
from ktrace.recording.requests import RecordedRequest, RequestInfo

_SECOND = 1_000_000


@dataclass(frozen=True)
class MadeRequest:
    """A request, as its record and its spans tell it."""

    info: RequestInfo
    client: str
    """Empty where nothing tells it."""
    status: int | None
    """None where no span tells it, 0 without an answer."""
    duration_ms: float | None
    """The API server's own time; None without its span."""
    trace_id: str = ""
    path: str = ""

    def __str__(self) -> str:
        info = self.info
        name = "/".join(filter(None, (info.namespace, info.name)))
        where = f", trace {self.trace_id}" if self.trace_id else ""
        time = f"{self.duration_ms:.1f} ms" if self.duration_ms is not None else "no span"
        subject = " ".join(filter(None, (info.verb, info.full_resource or self.path, name)))
        by = f" by {self.client}" if self.client else ""
        return f"{subject}{by} ({self.status or 'no answer'}, {time}{where})"


@dataclass(frozen=True)
class MadeCall:
    """A call of an admission webhook in ``request``."""

    call: WebhookCall
    failed_open: bool
    """Whether the API server went on although the call failed."""

    @property
    def duration_ms(self) -> float:
        return self.call.duration / 1000

    def __str__(self) -> str:
        return (
            f"{self.call.kind} webhook {self.call.webhook} ({self.duration_ms:.1f} ms, trace "
            f"{self.call.trace_id})"
        )


@dataclass(frozen=True)
class Caused:
    """``lacks`` says which spans of all this are missing, by the components that lack them."""

    requests: tuple[MadeRequest, ...] = ()
    """Those of the command, and those that came from within them: of a webhook that asks, too."""
    calls: tuple[MadeCall, ...] = ()
    """In these requests, and in those that created the pods."""
    traces: tuple[Trace, ...] = ()
    """What the API server did for these requests, and the kubelet and containerd for the pods."""
    pods: tuple[FollowedPod, ...] = ()
    """Those that were made since the command began."""
    requests_without_spans: int = 0
    pods_without_creation: tuple[str, ...] = ()


def of_command(
    recorded: Sequence[RecordedRequest],
    traces: Mapping[str, Trace],
    pods: Sequence[FollowedPod],
    creations: Iterable[Trace] = (),
) -> Caused:
    """``traces`` are those of the requests by Audit-Id, ``creations`` those that created pods.

    A trace may hold more than a request: the command's whole trace, or that of a CI job.
    """
    ids = {request.audit_id for request in recorded if request.audit_id}
    own = [_below(trace, ids) for trace in {trace.id: trace for trace in traces.values()}.values()]
    observed = list(requests_in(own))
    by_id = {request.audit_id: request for request in observed if request.audit_id in ids}
    made = [_recorded(request, by_id.get(request.audit_id)) for request in recorded]
    nested = [_observed(request) for request in observed if request.audit_id not in ids]
    began = tuple(pod for pod in pods if pod.is_new)
    created = list(_creations(began, requests_in([*own, *creations])))
    with_creation = {request.object for request in created}
    callers = {_identity(request): request for request in (*observed, *created)}
    names = {f"pods/{pod.namespace}/{pod.name}": f"{pod.namespace}/{pod.name}" for pod in began}
    return Caused(
        (*made, *nested),
        tuple(_calls(callers.values())),
        (*own, *(trace for pod in pods for trace in pod.traces)),
        began,
        sum(request.audit_id not in by_id for request in recorded),
        tuple(name for key, name in names.items() if key not in with_creation),
    )


def clock_ahead(recorded: Iterable[RecordedRequest], traces: Mapping[str, Trace]) -> int:
    """By how many microseconds the API server's clock is ahead of this machine's, at least.

    A request's span lies between its sending and its answer; 0 where no span tells otherwise.
    """
    off = []
    for request in recorded:
        if (trace := traces.get(request.audit_id)) is None:
            continue
        for seen in requests_in([_below(trace, {request.audit_id})]):
            if seen.audit_id == request.audit_id and request.ended:
                sent, answered = int(request.started * _SECOND), int(request.ended * _SECOND)
                early, late = seen.start - sent, seen.start - answered
                off.append(late if late > 0 else min(early, 0))
    return sorted(off)[len(off) // 2] if off else 0


def observed(requests: Iterable[ApiRequest]) -> tuple[list[MadeRequest], list[MadeCall]]:
    """Requests of a cluster, whoever made them, and the webhooks that they called."""
    found = list(requests)
    return [_observed(request) for request in found], list(_calls(found))


def _below(trace: Trace, audit_ids: set[str]) -> Trace:
    """What the API server did for these requests, and what that led to."""
    roots = [
        trace.outermost(span, APISERVER)
        for span in trace.spans
        if span.service == APISERVER and span.tags.get("audit-id") in audit_ids
    ]
    kept = {(span.span_id, span.start) for span in (*roots, *trace.below(*roots))}
    return Trace(trace.id, tuple(s for s in trace.spans if (s.span_id, s.start) in kept))


def _creations(pods: Sequence[FollowedPod], requests: Iterable[ApiRequest]) -> Iterator[ApiRequest]:
    """Those of ``requests`` that created one of ``pods``."""
    wanted = {f"pods/{pod.namespace}/{pod.name}" for pod in pods}
    for request in requests:
        if (request.method, request.resource) == ("POST", "pods") and request.object in wanted:
            yield request


def _identity(request: ApiRequest) -> tuple[object, ...]:
    return request.trace_id, request.start, request.duration, request.path


def _calls(requests: Iterable[ApiRequest]) -> Iterator[MadeCall]:
    for request in requests:
        for call in request.calls:
            yield MadeCall(call, request.failed_open(call))


def _recorded(request: RecordedRequest, seen: ApiRequest | None) -> MadeRequest:
    return MadeRequest(
        request.info,
        request.client,
        request.status,
        seen.duration / 1000 if seen else None,
        seen.trace_id if seen else "",
        request.path.partition("?")[0],
    )


def _observed(request: ApiRequest) -> MadeRequest:
    name = "" if request.object == NOT_KNOWN else request.object.rpartition("/")[2]
    return MadeRequest(
        recording.parse(request.method, request.path, ObjectReference(name)),
        "" if request.client == NOT_KNOWN else request.client,
        request.status,
        request.duration / 1000,
        request.trace_id,
        request.path.partition("?")[0],
    )
