"""A pod's start as Jaeger and the API server would tell it, written in a few lines.

Times are in milliseconds after BEGIN.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import httpx

from ktrace.jaeger import Jaeger, Trace
from ktrace.jaeger.model import trace_of
from runtime_observability.host.api_server import ApiError
from tests.fakes.jaeger import Handler, client
from tests.fakes.store import Store

BEGIN = 1_700_000_000_000_000
"""In microseconds; a whole second."""
POD = "default/a"
UID = "0a1b2c3d-0000-4000-8000-000000000001"
NODE = "agent-1"
_CRI = "runtime.v1."


def call(
    method: str,
    start: float,
    took: float = 10,
    *,
    container: str = "",
    error: str = "",
    traced: bool = True,
    attempt: int = 0,
    uid: str = UID,
    **tags: str,
) -> list[dict[str, Any]]:
    """A call of the kubelet to the runtime, and containerd's span of it if that is ``traced``."""
    service = "ImageService" if method == "PullImage" else "RuntimeService"
    operation = f"{_CRI}{service}/{method}"
    status = {"error": "true", "otel.status_description": error} if error else {}
    own = f"{method}-{start}-{container}"
    names: dict[str, str] = {}
    if container:
        names["container.id"] = f"id-{container}-{attempt}"
        if method == "CreateContainer":
            names["container.name"] = f"{container}_a_default_{uid}_{attempt}"
    spans = [span("kubelet", operation, start, took, own, parent="sync", tags=status)]
    if traced:
        spans.append(
            span(
                "containerd",
                operation,
                start,
                took,
                f"{own}-c",
                parent=own,
                tags=status | names | tags,
            )
        )
    return spans


def started(container: str, start: float, **options: Any) -> list[dict[str, Any]]:
    """A container that is created at ``start`` and started 10 ms later, in 10 ms."""
    return [
        *call("CreateContainer", start, container=container, **options),
        *call("StartContainer", start + 10, container=container, **options),
    ]


def sync(
    start: float,
    *calls: Iterable[Mapping[str, Any]],
    end: float | None = None,
    error: str = "",
    update: str = "sync",
    uid: str = UID,
    pod: str = POD,
    node: str = NODE,
    running: bool = False,
) -> dict[str, Any]:
    """The trace of a syncPod; that of a ``running`` one has no span of it."""
    spans = [dict(span) for made in calls for span in made]
    last = max([start + 1, *(end_of(span) for span in spans)])
    status = {"error": "true", "otel.status_description": error} if error else {}
    tags = {"k8s.pod": pod, "k8s.pod.uid": uid, "k8s.pod.update_type": update, **status}
    if not running:
        took = (end if end is not None else last) - start
        spans.append(span("kubelet", "syncPod", start, took, "sync", tags=tags))
    return trace(spans, f"sync-{pod}-{uid}-{start}", node)


def request(
    operation: str,
    start: float,
    took: float = 5,
    *,
    code: int = 201,
    below: Iterable[Mapping[str, Any]] = (),
    **tags: str,
) -> dict[str, Any]:
    """A request to the API server; ``tags`` are those of the span ``operation`` below it."""
    codes = {"http.response.status_code": code}
    outer = span("apiserver", "POST", start, took, "request", tags=codes)
    inner = span("apiserver", operation, start + 1, took - 2, "inner", parent="request", tags=tags)
    name = f"request-{operation}-{start}-{sorted(tags.values())}"
    return trace([outer, inner, *map(dict, below)], name, "server-0")


def created(start: float = 0, took: float = 5, **options: Any) -> dict[str, Any]:
    return request("Create etcd3", start, took, key=f"/pods/{POD}", **options)


def bound(start: float, took: float = 4) -> dict[str, Any]:
    namespace, _, name = POD.partition("/")
    return request("Create", start, took, url=f"/api/v1/namespaces/{namespace}/pods/{name}/binding")


def patched(start: float, took: float = 4, agent: str = "kubelet/v1.36.3") -> dict[str, Any]:
    """The kubelet reports the pod's status."""
    namespace, _, name = POD.partition("/")
    url = f"/api/v1/namespaces/{namespace}/pods/{name}/status"
    tags: dict[str, Any] = {"url": url, "user-agent": agent}
    return request("Patch", start, took, code=200, **tags)


def webhook(
    name: str, start: float, took: float, *, error: str = "", kind: str = "mutating"
) -> list[dict[str, Any]]:
    """A call of a webhook, for ``below`` of a request."""
    status = {"error": "true", "otel.status_description": error} if error else {}
    operation = f"Call {kind} webhook"
    hook, tags = f"hook-{name}", {"webhook": name}
    return [
        span("apiserver", operation, start, took, hook, parent="inner", tags=tags),
        span("apiserver", "HTTP POST", start, took, f"post-{name}", parent=hook, tags=status),
    ]


def trace(spans: Iterable[Mapping[str, Any]], name: str, node: str) -> dict[str, Any]:
    """Spans as Jaeger sends a trace: all processes are of ``node``."""
    tags = [{"key": "k8s.node.name", "type": "string", "value": node}]
    found = [{**span, "traceID": name} for span in spans]
    for span in found:
        span["references"] = [{**reference, "traceID": name} for reference in span["references"]]
    services = {span["processID"] for span in found}
    processes = {service: {"serviceName": service, "tags": tags} for service in services}
    return {"traceID": name, "spans": found, "processes": processes}


def read(*traces: Mapping[str, Any]) -> list[Trace]:
    return [trace_of(found) for found in traces]


def jaeger(*traces: Mapping[str, Any], newest: int | None = None) -> Jaeger:
    """A Jaeger that searches in ``traces`` as the real one does, and holds the ``newest`` of them.

    Traces arrive there in the order in which they begin.
    """
    return client(handler(*traces, newest=newest))


def handler(*traces: Mapping[str, Any], newest: int | None = None) -> Handler:
    return Store(sorted(traces, key=_begin), newest).answer


def _begin(trace: Mapping[str, Any]) -> int:
    return min((int(span["startTime"]) for span in trace["spans"]), default=0)


# --- the API server -------------------------------------------------------------------------------

Document = dict[str, Any]


def second(milliseconds: float) -> str:
    """A timestamp of Kubernetes: to the second."""
    seconds = int((BEGIN + milliseconds * 1000) // 1_000_000)
    return datetime.fromtimestamp(seconds, tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def running(milliseconds: float, **status: Any) -> Document:
    return {"state": {"running": {"startedAt": second(milliseconds)}}, "started": True, **status}


def ended(milliseconds: float, reason: str = "Completed") -> Document:
    times = {"startedAt": second(milliseconds), "finishedAt": second(milliseconds + 1000)}
    return {"state": {"terminated": {"reason": reason, "exitCode": 0, **times}}}


def waiting(reason: str = "ContainerCreating", message: str = "") -> Document:
    return {"state": {"waiting": {"reason": reason, "message": message}}}


def pod(
    containers: Mapping[str, Document],
    init: Mapping[str, Document] | None = None,
    *,
    specs: Mapping[str, Document] | None = None,
    ready: float | None = None,
    not_ready: str = "",
    node: str = NODE,
    uid: str = UID,
    spec: Document | None = None,
    annotations: Mapping[str, str] | None = None,
    conditions: Iterable[Document] = (),
    **status: Any,
) -> Document:
    """A pod: containers' statuses by their names, and parts of their ``specs``.

    ``ready`` is when it became Ready, in milliseconds; ``not_ready`` why it is not.
    """
    told = list(conditions)
    if ready is not None:
        told.append({"type": "Ready", "status": "True", "lastTransitionTime": second(ready)})
    elif not_ready:
        told.append({"type": "Ready", "status": "False", "message": not_ready})
    specs = specs or {}

    def described(names: Iterable[str]) -> list[Document]:
        return [{"name": name, "image": f"{name}:1", **specs.get(name, {})} for name in names]

    namespace, _, name = POD.partition("/")
    return {
        "metadata": {
            "namespace": namespace,
            "name": name,
            "uid": uid,
            "creationTimestamp": second(0),
            "annotations": dict(annotations or {}),
        },
        "spec": {
            "nodeName": node,
            "initContainers": described(init or {}),
            "containers": described(containers),
            "volumes": [{"name": "kube-api-access"}],
            **(spec or {}),
        },
        "status": {
            "phase": "Running",
            "startTime": second(0),
            "conditions": told,
            "initContainerStatuses": _statuses(init or {}),
            "containerStatuses": _statuses(containers),
            **status,
        },
    }


def event(
    reason: str,
    message: str,
    first: float,
    last: float | None = None,
    container: str = "",
    **more: Any,
) -> Document:
    path = {"fieldPath": f"spec.containers{{{container}}}"} if container else {}
    return {
        "reason": reason,
        "message": message,
        "firstTimestamp": second(first),
        "lastTimestamp": second(first if last is None else last),
        "involvedObject": {"kind": "Pod", "name": "a", "uid": UID, **path},
        **more,
    }


class Api:
    """An API server that has one pod, or none, and its Events; its node may be read, if given."""

    def __init__(
        self, pod: Document | None, *events: Document, node: Document | None = None
    ) -> None:
        self.pod, self.events, self.node = pod, events, node

    def get(self, path: str) -> Document:
        if "/events?" in path:
            return {"items": list(self.events)}
        of_node = "/nodes/" in path
        found = self.node if of_node else self.pod
        if found is None:
            raise ApiError(httpx.Response(403 if of_node else 404, json={"message": "not found"}))
        return found


def _statuses(statuses: Mapping[str, Document]) -> list[Document]:
    return [{"name": name, **status} for name, status in statuses.items()]


def span(
    service: str,
    operation: str,
    start: float,
    took: float,
    span_id: str,
    *,
    parent: str = "",
    tags: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    references = [{"refType": "CHILD_OF", "traceID": "", "spanID": parent}] if parent else []
    return {
        "traceID": "",
        "spanID": span_id,
        "operationName": operation,
        "references": references,
        "startTime": round(BEGIN + start * 1000),
        "duration": round(took * 1000),
        "tags": [
            {"key": key, "type": "string", "value": value} for key, value in (tags or {}).items()
        ],
        "processID": service,
    }


def end_of(span: Mapping[str, Any]) -> float:
    return float(span["startTime"] + span["duration"] - BEGIN) / 1000
