"""The requests that changed a pod object or removed it, as the API server's spans show them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ktrace.activity.requests import NOT_KNOWN
from ktrace.components import is_kubelet
from ktrace.jaeger import Span, Trace
from ktrace.podend.model import DELETED, EVICTED, IN_COLLECTION, Write
from ktrace.podstart.pod_spans import request_of

_DELETE = "Delete"
_ETCD = "etcdserverpb."
_TXN = f"{_ETCD}KV/Txn"


def writes_of(matches: Iterable[tuple[Trace, Span]]) -> list[Write]:
    """One for each request, ordered by start; ``matches`` are spans in them, with their traces."""
    found: dict[tuple[str, str], Write] = {}
    for trace, span in matches:
        write = _write_of(trace, span)
        found.setdefault((trace.id, write.request.span.span_id), write)
    return sorted(found.values(), key=lambda write: write.request.span.start)


def client_of(agent: str) -> str:
    """``kubectl/v1.36.3``, or ``replicaset-controller of kube-controller-manager/v1.36.3``.

    Kubernetes' own components append who it is to ``NAME/VERSION (OS/ARCH) kubernetes/COMMIT``.
    """
    words = agent.split()
    if not words:
        return NOT_KNOWN
    parts = words[2].split("/", 2) if len(words) > 2 else []
    who = parts[2].rpartition(":")[2] if len(parts) > 2 else ""
    return f"{who} of {words[0]}" if who else words[0]


def _write_of(trace: Trace, span: Span) -> Write:
    request = request_of(trace, span)
    handler = next((s for s in (request.span, *request.below) if "user-agent" in s.tags), None)
    if handler is None:
        return Write(request, NOT_KNOWN)
    agent = str(handler.tags["user-agent"])
    kind, _, subresource = _path(str(handler.tags.get("url", "")))
    deletes = handler.operation == _DELETE
    how = DELETED if deletes and kind == "pod" and not subresource else ""
    how = IN_COLLECTION if deletes and kind == "pods" else how
    how = EVICTED if subresource == "eviction" else how
    return Write(
        request,
        client_of(agent),
        how,
        kubelet=is_kubelet(agent),
        status=subresource == "status",
        binds=subresource == "binding",
        removed=None if how == IN_COLLECTION else _removes(handler, request.below),
    )


def _path(url: str) -> tuple[str, str, str]:
    """``pod``, its name and its subresource; ``pods`` for the collection."""
    parts = url.partition("?")[0].strip("/").split("/")
    if parts[:2] != ["api", "v1"] or "pods" not in parts[2:5]:
        return "", "", ""
    names = parts[parts.index("pods", 2) + 1 :]
    if not names:
        return "pods", "", ""
    return "pod", names[0], "/".join(names[1:])


def _removes(handler: Span, below: Sequence[Span]) -> bool | None:
    """Whether the request removed the object.

    What changes an object has a span of its own between the handler's and that of the call to etcd
    (``GuaranteedUpdate etcd3``); what removes it has none. Seen with Kubernetes 1.36, in kubectl's
    and the kubelet's requests, and in a patch that took the last finalizer.
    """
    if not any(span.operation.startswith(_ETCD) for span in below):
        return None
    return any(span.operation == _TXN and span.parent_id == handler.span_id for span in below)
