"""Workloads, their pods and their traces, as an API server and Jaeger would tell them.

Times are in milliseconds after ``starts.BEGIN``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

from ktrace.rollout.cluster import Selection
from ktrace.rollout.kinds import DEPLOYMENT, JOB, KINDS, PODS, Kind
from ktrace.rollout.look import Look
from ktrace.rollout.model import Rollout
from runtime_observability.host.api_server import ApiError
from tests.fakes import starts
from tests.fakes.http import Reply, Request
from tests.fakes.starts import Document, second

NAMESPACE = "shop"
HASH, OLD_HASH = "6d4cf56db6", "5b7c9d8f4d"
_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
KUBELET = "kubelet/v1.36.3 (linux/amd64)"
CONTROLLER = "kube-controller-manager/v1.36.3 (linux/amd64)"


def suffix(number: int) -> str:
    """Five characters as the API server adds them."""
    base = len(_ALPHABET)
    return "".join(_ALPHABET[number // base**place % base] for place in range(5))


def uid(name: str) -> str:
    return f"uid-of-{name}"


@dataclass(frozen=True)
class FakePod:
    """Created at ``created``; its container starts ``pull`` later, and it is Ready at ``ready``."""

    name: str
    owner: str
    owner_kind: str = "ReplicaSet"
    created: float = 100
    pull: float = 200
    ready: float | None = 1500
    node: str = "agent-1"
    labels: Mapping[str, str] = field(default_factory=dict)
    deleted: float | None = None
    gone: float | None = None
    """When the kubelet removed it; it is no longer listed."""
    phase: str = "Running"
    started: bool = True
    waiting: str = ""

    @property
    def document(self) -> Document:
        begun = starts.running(self.created + self.pull + 60)
        waits = starts.waiting(self.waiting or "ContainerCreating")
        statuses = {"main": begun if self.started else waits}
        if self.phase == "Succeeded":
            statuses = {"main": starts.ended(self.created + self.pull + 60)}
        made = starts.pod(
            statuses,
            specs={"main": {"readinessProbe": {"httpGet": {"path": "/"}}}},
            ready=self.ready if self.phase == "Running" else None,
            not_ready="" if self.ready is not None else "containers with unready status: [main]",
            node=self.node,
            uid=uid(self.name),
            phase=self.phase,
        )
        meta = made["metadata"]
        meta |= {"namespace": NAMESPACE, "name": self.name, "labels": dict(self.labels)}
        meta["creationTimestamp"] = second(self.created)
        meta["ownerReferences"] = [_owner(self.owner_kind, self.owner)]
        made["status"]["startTime"] = second(self.created)
        if self.deleted is not None:
            meta["deletionTimestamp"] = second(self.deleted + 30_000)
            meta["deletionGracePeriodSeconds"] = 30
        return made

    @property
    def traces(self) -> list[Document]:
        key, own = f"{NAMESPACE}/{self.name}", uid(self.name)
        path = f"/api/v1/namespaces/{NAMESPACE}/pods/{self.name}"
        at = self.created
        pods: dict[str, Any] = {"resource": "pods", "namespace": NAMESPACE}
        found = [
            starts.request("Create etcd3", at, key=f"/pods/{key}", **pods),
            starts.request("Create", at + 8, 4, url=f"{path}/binding", **pods),
        ]
        image: dict[str, Any] = {"image.name": "web:2"}
        calls = starts.call("RunPodSandbox", at + 25, 20)
        calls += starts.call("PullImage", at + 50, self.pull, **image)
        if self.started:
            calls += starts.started("main", at + self.pull + 55, uid=own)
        found.append(
            starts.sync(
                at + 20, calls, update="create", uid=own, pod=key, node=self.node,
                end=at + self.pull + 100,
            )
        )  # fmt: skip
        if self.ready is not None:
            agent: dict[str, Any] = {"url": f"{path}/status", "user-agent": KUBELET}
            found.append(starts.request("Patch", self.ready, 4, code=200, **agent, **pods))
        if self.deleted is not None:
            found.append(self._delete(self.deleted, CONTROLLER))
            ends = self.deleted + 200 if self.gone is None else self.gone
            stops = starts.call("StopContainer", self.deleted + 30, ends - self.deleted - 70)
            found.append(self._kubelets("syncTerminatingPod", self.deleted + 20, ends - 30, stops))
            if self.gone is not None:
                found.append(self._kubelets("syncTerminatedPod", ends - 20, ends - 10))
                found.append(self._delete(ends - 5, KUBELET, last=True))
        return found

    def _delete(self, at: float, agent: str, *, last: bool = False) -> Document:
        """A request for its deletion; the ``last`` removes it."""
        path = f"/api/v1/namespaces/{NAMESPACE}/pods/{self.name}"
        key = {"key": f"/pods/{NAMESPACE}/{self.name}"}
        below = [
            starts.span(
                "apiserver", "GuaranteedUpdate etcd3", at + 1, 1, "update", parent="inner", tags=key
            ),
            starts.span(
                "apiserver", "etcdserverpb.KV/Txn", at + 1, 1, "txn",
                parent="inner" if last else "update",
            ),
        ]  # fmt: skip
        tags: dict[str, Any] = {"url": path, "verb": "DELETE", "user-agent": agent}
        tags |= {"resource": "pods", "namespace": NAMESPACE}
        return starts.request("Delete", at, 5, code=200, below=below, **tags)

    def _kubelets(
        self, operation: str, start: float, end: float, calls: Iterable[Document] = ()
    ) -> Document:
        tags = {"k8s.pod": f"{NAMESPACE}/{self.name}", "k8s.pod.uid": uid(self.name)}
        own = starts.span("kubelet", operation, start, end - start, "sync", tags=tags)
        return starts.trace([own, *calls], f"{operation}-{self.name}", self.node)


def _owner(kind: str, name: str) -> Document:
    return {"kind": kind, "name": name, "uid": uid(name), "apiVersion": "v1", "controller": True}


def template(image: str = "web:2") -> Document:
    return {
        "metadata": {"labels": {"app": "web"}},
        "spec": {"containers": [{"name": "main", "image": image}]},
    }


def workload(
    kind: Kind = DEPLOYMENT,
    name: str = "web",
    *,
    created: float = -90_000,
    changed: float = 0,
    subresource: str = "",
    replicas: int | None = 3,
    status: Document | None = None,
    generation: int = 2,
    **spec: Any,
) -> Document:
    entry: Document = {"manager": "kubectl", "operation": "Update", "time": second(changed)}
    entry |= {"fieldsV1": {"f:spec": {}}} | ({"subresource": subresource} if subresource else {})
    controller: Document = {"manager": "kube-controller-manager", "subresource": "status"}
    controller |= {"time": second(changed + 50_000), "fieldsV1": {"f:status": {}}}
    own: Document = {"selector": {"matchLabels": {"app": "web"}}, "template": template()}
    if replicas is not None:
        own["replicas"] = replicas
    return {
        "metadata": {
            "namespace": NAMESPACE, "name": name, "uid": uid(name), "generation": generation,
            "creationTimestamp": second(created), "managedFields": [entry, controller],
        },
        "spec": own | spec,
        "status": {"observedGeneration": generation} | (status or {}),
    }  # fmt: skip


def replica_set(
    hashed: str = HASH, image: str = "web:2", *, created: float = 50, revision: int = 2
) -> Document:
    made = template(image)
    made["metadata"] = {"labels": {"app": "web", "pod-template-hash": hashed}}
    name = f"web-{hashed}"
    return {
        "metadata": {
            "namespace": NAMESPACE, "name": name, "uid": uid(name),
            "creationTimestamp": second(created),
            "annotations": {"deployment.kubernetes.io/revision": str(revision)},
            "labels": {"app": "web"},
            "ownerReferences": [_owner("Deployment", "web")],
        },
        "spec": {"replicas": 3, "template": made},
    }  # fmt: skip


def controller_revision(
    name: str, hashed: str, number: int, *, owner: str = "web", created: float = 50
) -> Document:
    return {
        "metadata": {
            "namespace": NAMESPACE, "name": name, "creationTimestamp": second(created),
            "labels": {"app": "web", "controller-revision-hash": hashed},
            "ownerReferences": [_owner("StatefulSet", owner)],
        },
        "revision": number,
    }  # fmt: skip


def event(kind: str, name: str, reason: str, message: str, at: float) -> Document:
    return {
        "reason": reason, "message": message,
        "firstTimestamp": second(at), "lastTimestamp": second(at),
        "involvedObject": {"kind": kind, "name": name, "uid": uid(name), "namespace": NAMESPACE},
    }  # fmt: skip


def written(
    kind: Kind = DEPLOYMENT, name: str = "web", at: float = 20, *, method: str = "PATCH",
    agent: str = "kubectl/v1.36.3 (linux/amd64)", scale: bool = False, took: float = 12,
) -> Document:  # fmt: skip
    """The request that changed a workload, with the tags of its own span."""
    path = kind.path(NAMESPACE, name) + ("/scale" if scale else "")
    below = []
    if method == "POST":
        path, key = kind.path(NAMESPACE), f"/{kind.plural}/{NAMESPACE}/{name}"
        below.append(
            starts.span(
                "apiserver", "Create etcd3", at + 1, 1, "stored", parent="inner", tags={"key": key}
            )
        )
    made = starts.request("Patch", at, took, code=200, below=below, url=path, resource=kind.plural)
    outer = made["spans"][0]
    tags = {
        "span.kind": "server", "http.request.method": method, "url.path": path,
        "user_agent.original": agent, "audit-id": f"audit-{name}-{at}",
    }  # fmt: skip
    outer["tags"] += [{"key": k, "type": "string", "value": v} for k, v in tags.items()]
    return made


@dataclass
class Cluster:
    """An API server's objects; ``status`` and ``message`` are what it answers instead, if set."""

    objects: Mapping[Kind, list[Document]]
    pods: list[FakePod] = field(default_factory=list)
    replica_sets: list[Document] = field(default_factory=list)
    revisions: list[Document] = field(default_factory=list)
    events: list[Document] = field(default_factory=list)
    refused: Mapping[str, int] = field(default_factory=dict)
    """Statuses by the end of a path's last part."""
    requests: list[str] = field(default_factory=list)

    def get(self, path: str) -> Document:
        """As ``podstart.cluster.Api``."""
        status, document = self._answer(path)
        if status >= 400:
            raise ApiError(httpx.Response(status, json=document))
        return document

    def answer(self, request: Request) -> Reply:
        """As the ``answer`` of a FakeServer."""
        return Reply(*self._answer(request.path))

    def _answer(self, path: str) -> tuple[int, Document]:
        self.requests.append(path)
        parsed = urlsplit(path)
        last = parsed.path.rpartition("/")[2]
        if last in self.refused:
            return self.refused[last], {"message": f"{last} is forbidden: User cannot list it"}
        selector = parse_qs(parsed.query).get("labelSelector", [""])[0]
        lists: dict[str, list[Document]] = {
            "pods": [pod.document for pod in self.pods if pod.gone is None],
            "replicasets": [*self.replica_sets, *self.objects.get(KINDS[4], [])],
            "controllerrevisions": self.revisions,
            "events": self.events,
        }
        for kind, documents in self.objects.items():
            lists.setdefault(kind.plural, documents)
        if last in lists:
            return 200, {"items": [found for found in lists[last] if _matches(found, selector)]}
        for kind, documents in self.objects.items():
            for document in documents:
                if parsed.path == kind.path(NAMESPACE, document["metadata"]["name"]):
                    return 200, document
        return 404, {"message": f'"{last}" not found'}

    def traces(self) -> list[Document]:
        return [trace for pod in self.pods for trace in pod.traces]


def _matches(document: Document, selector: str) -> bool:
    labels = document.get("metadata", {}).get("labels") or {}
    wanted = dict(part.split("=") for part in selector.split(",") if part)
    return wanted.items() <= labels.items()


def web_pod(number: int, hashed: str = HASH, **more: Any) -> FakePod:
    name = f"web-{hashed}-{suffix(number)}"
    labels = {"app": "web", "pod-template-hash": hashed}
    return FakePod(name, f"web-{hashed}", labels=labels, **more)


def deployment(pods: Iterable[FakePod], *, old: bool = True, **more: Any) -> Cluster:
    """Deployment web with a newest and an older ReplicaSet."""
    sets = [replica_set()]
    if old:
        sets.append(replica_set(OLD_HASH, "web:1", created=-80_000, revision=1))
    return Cluster({DEPLOYMENT: [workload(**more)]}, list(pods), sets)


def job(pods: Iterable[FakePod], *, status: Document | None = None, **spec: Any) -> Cluster:
    made = workload(JOB, "migrate", created=0, changed=0, replicas=None, status=status, **spec)
    return Cluster({JOB: [made]}, list(pods))


def rollout_of(number: int, **wanted: str) -> Rollout:
    """``number`` pods, of which every tenth is not Ready, and as many old ones."""
    pods = [
        web_pod(
            at,
            created=100 + at * 5,
            pull=200 + at * 7 % 900,
            ready=None if at % 10 == 9 else 2_000 + at * 37 % 5_000,
            node=f"agent-{at % 4}",
        )
        for at in range(number)
    ]
    old = [
        web_pod(
            900 + at, OLD_HASH, created=-70_000, ready=-60_000, deleted=2_000 + at, gone=4_000 + at
        )
        for at in range(number)
    ]
    cluster = deployment([*pods, *old], replicas=number)
    jaeger = starts.jaeger(*cluster.traces(), written())
    asked = Selection(PODS, **wanted) if wanted else Selection(DEPLOYMENT, NAMESPACE, "web")
    (rollout,) = Look(jaeger, cluster, asked).wait(0)
    return rollout
