"""Finds the request that created or changed a workload."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from ktrace.activity.requests import ApiRequest, requests_in
from ktrace.components import APISERVER
from ktrace.jaeger import Reader, Span, Trace
from ktrace.podstart.pod import SECOND
from ktrace.podstart.pod_spans import ETCD_PREFIXES
from ktrace.rollout.model import Write
from ktrace.rollout.workload import Workload

_MOST = 2_000
_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch"}
_AUDIT_ID = "audit-id"


def find(reader: Reader, workload: Workload, at: datetime | None) -> tuple[Write | None, str]:
    """The write in the second ``at``, and what is not known of it, in words.

    Of a ReplicaSet that a Deployment scales ``at`` is that of its creation, or that in which its
    first pod was created, right after the write. Raises JaegerError.
    """
    if at is None:
        return None, "the write: the object does not tell when it was written"
    second = int(at.timestamp()) * SECOND
    by_pod = bool(workload.scaled_by) and at not in (workload.created, workload.changed)
    earliest = second - SECOND if by_pod else second
    path = workload.kind.path(workload.namespace, workload.name)
    kind = workload.kind
    stored = [f"{prefix}/{kind.plural}/{workload.namespace}/{workload.name}"
              for prefix in ETCD_PREFIXES]  # fmt: skip
    searches = [{"url": path}, {"url": f"{path}/scale"}]
    if workload.created == at:
        searches = [*({"key": key} for key in stored), *searches]
    found: dict[str, Trace] = {}
    for tags in searches:
        traces, _ = reader.find_all(
            APISERVER, tags=tags, start=second - 30 * SECOND, end=second + 2 * SECOND, most=_MOST
        )
        found |= {trace.id: trace for trace in traces}
    of_object = f"{kind.plural}.{kind.group}/{workload.namespace}/{workload.name}"
    writes = [
        request
        for request in requests_in(found.values())
        if request.writes
        and request.method in _VERBS
        and request.failed is not True
        and request.object == of_object
        and request.resource.partition("/")[2] in ("", "scale")
        and request.start < second + SECOND
        and request.start + request.duration >= earliest
    ]
    if workload.scaled_by and at == workload.created:
        writes = [request for request in writes if request.method == "POST"] or writes
    if not writes and by_pod:
        return None, "a span of the write that made the first of its pods"
    if not writes:
        return None, f"the span of the write of {at:%Y-%m-%d %H:%M:%S} UTC"
    newest = max(writes, key=lambda request: request.start)
    others = len(writes) - 1
    more = f"which of {others + 1} writes in one second changed the pods" if others else ""
    return _write(newest, found.values()), more


def _write(request: ApiRequest, traces: Iterable[Trace]) -> Write:
    resource = request.resource.partition("/")[2]
    trace = next(found for found in traces if found.id == request.trace_id)
    return Write(
        at=datetime.fromtimestamp(request.start / SECOND, UTC),
        client=request.client,
        verb=" ".join(filter(None, (_VERBS[request.method], resource))),
        took_ms=request.duration / 1000,
        audit_id=_audit_id(request, trace.spans),
        trace_id=request.trace_id,
    )


def _audit_id(request: ApiRequest, spans: Iterable[Span]) -> str:
    """Of the request's own span: one trace may hold several requests."""
    own = (
        span
        for span in spans
        if span.service == APISERVER
        and (span.start, span.duration) == (request.start, request.duration)
    )
    return next((str(span.tags[_AUDIT_ID]) for span in own if _AUDIT_ID in span.tags), "")
