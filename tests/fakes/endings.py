"""A pod's ending as Jaeger and the API server would tell it, written in a few lines.

Times are in milliseconds after ``starts.BEGIN``, as in ``starts``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tests.fakes import starts

KUBECTL = "kubectl/v1.36.3 (linux/amd64) kubernetes/abc"
REPLICASETS = (
    "k3s/v1.36.3 (linux/amd64) kubernetes/abc/"
    "system:serviceaccount:kube-system:replicaset-controller"
)
KUBELET = "kubelet/v1.36.3 (linux/amd64) kubernetes/abc"
_PATH = "/api/v1/namespaces/default/pods"
_HANDLERS = {"DELETE": "Delete", "PATCH": "Patch", "PUT": "Update", "POST": "Create"}


def write(
    verb: str,
    start: float,
    took: float = 5,
    *,
    agent: str = KUBECTL,
    subresource: str = "",
    removes: bool = False,
    collection: bool = False,
    code: int = 200,
) -> dict[str, Any]:
    """A request that changes the pod default/a, or with ``removes`` removes it."""
    path = _PATH if collection else "/".join(filter(None, (_PATH, "a", subresource)))
    tags = {"url": path, "user-agent": agent, "verb": verb}
    outer = starts.span(
        "apiserver", verb, start, took, "r", tags={"http.response.status_code": code}
    )
    handler = starts.span("apiserver", _HANDLERS[verb], start, took - 1, "h", parent="r", tags=tags)
    key = {"key": f"/pods/{starts.POD}"}
    update = starts.span(
        "apiserver", "GuaranteedUpdate etcd3", start, took / 2, "u", parent="h", tags=key
    )
    spans = [outer, handler, update, _txn(start, took / 2, "t", "u")]
    if removes:
        spans.append(_txn(start + took / 2, took / 4, "d", "h"))
    return starts.trace(spans, f"write-{verb}-{start}-{path}-{agent}-{took}", "server-0")


def deleted(start: float, **options: Any) -> dict[str, Any]:
    return write("DELETE", start, **options)


def evicted(start: float, **options: Any) -> dict[str, Any]:
    return write("POST", start, subresource="eviction", **options)


def by_kubelet(start: float, **options: Any) -> dict[str, Any]:
    """The kubelet's last request, which removes the object unless a finalizer holds it."""
    return write("DELETE", start, agent=KUBELET, **{"removes": True, **options})


def reported(start: float, **options: Any) -> dict[str, Any]:
    return write("PATCH", start, agent=KUBELET, subresource="status", **options)


def stop(
    container: str,
    start: float,
    took: float = 100,
    *,
    signals: Iterable[float] = (1,),
    traced: bool = True,
    error: str = "",
) -> list[dict[str, Any]]:
    """A StopContainer; the runtime sent its ``signals`` so many milliseconds after its start."""
    calls = starts.call(
        "StopContainer", start, took, container=container, error=error, traced=traced
    )
    for number, after in enumerate(signals if traced else ()):
        name, parent = f"kill-{container}-{start}-{number}", calls[1]["spanID"]
        kill = starts.span("containerd", "client.task.Kill", start + after, 5, name, parent=parent)
        calls.append(kill)
    return calls


def hook(container: str, start: float, took: float, **options: Any) -> list[dict[str, Any]]:
    """A preStop command."""
    return starts.call("ExecSync", start, took, container=container, **options)


def sandbox(start: float, took: float = 100) -> list[dict[str, Any]]:
    calls = starts.call("StopPodSandbox", start, took)
    network = starts.span(
        "containerd", "cni.Remove", start + 10, 30, f"cni-{start}", parent=calls[-1]["spanID"]
    )
    return [*calls, network]


def terminating(
    start: float,
    *calls: Iterable[Mapping[str, Any]],
    end: float | None = None,
    error: str = "",
    uid: str = starts.UID,
    running: bool = False,
) -> dict[str, Any]:
    """The trace of a syncTerminatingPod; that of a ``running`` one has no span of it."""
    options: Any = {"end": end, "error": error, "running": running}
    return _sync("syncTerminatingPod", uid, start, *calls, **options)


def terminated(start: float, took: float = 300, *, uid: str = starts.UID) -> dict[str, Any]:
    return _sync("syncTerminatedPod", uid, start, end=start + took)


def _sync(
    operation: str,
    uid: str,
    start: float,
    *calls: Iterable[Mapping[str, Any]],
    end: float | None = None,
    error: str = "",
    running: bool = False,
) -> dict[str, Any]:
    spans = [dict(span) for made in calls for span in made]
    last = max([start + 1, *(starts.end_of(span) for span in spans)])
    status = {"error": "true", "otel.status_description": error} if error else {}
    tags = {"k8s.pod": starts.POD, "k8s.pod.uid": uid, **status}
    if not running:
        took = max(0, (end if end is not None else last) - start)
        spans.append(starts.span("kubelet", operation, start, took, "sync", tags=tags))
    return starts.trace(spans, f"{operation}-{uid}-{start}", starts.NODE)


def _txn(start: float, took: float, name: str, parent: str) -> dict[str, Any]:
    return starts.span("apiserver", "etcdserverpb.KV/Txn", start, took, name, parent=parent)


def pod(
    containers: Mapping[str, starts.Document],
    *,
    grace: int | None = 30,
    asked: float = 0,
    finalizers: Iterable[str] = (),
    **options: Any,
) -> starts.Document:
    """A pod that was deleted at ``asked``; one that nobody has deleted without ``grace``."""
    document = starts.pod(containers, **options)
    if grace is not None:
        document["metadata"]["deletionTimestamp"] = starts.second(asked + grace * 1000)
        document["metadata"]["deletionGracePeriodSeconds"] = grace
    document["metadata"]["finalizers"] = list(finalizers)
    return document


def exited(at: float, code: int, reason: str = "Error") -> starts.Document:
    document = starts.ended(at, reason)
    document["state"]["terminated"]["exitCode"] = code
    return document
