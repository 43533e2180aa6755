"""What followed for the objects that a command touched: its pods, found by their owners."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from pathlib import Path
from typing import Any

import urllib3
from kubernetes import client

from components import kubeapi
from ktrace.jaeger import Jaeger, Trace
from ktrace.podstart import PodStart, has_calls
from ktrace.requests import Seen
from ktrace.starts import look_for_start

_POLL_SECONDS = 0.7
_QUIET_SECONDS = 2.5
"""Nothing new for this long: more than an exporter's delay, and than a controller takes to act."""
_API_SECONDS = 10


@dataclass(frozen=True)
class PodInfo:
    namespace: str
    name: str
    uid: str
    phase: str
    owners: tuple[str, ...]
    """uids of its owners, and theirs."""


@dataclass(frozen=True)
class PodWork:
    """What kubelet and containerd did for one pod since the command began."""

    namespace: str
    name: str
    traces: tuple[Trace, ...] = field(repr=False)
    start: PodStart | None = field(default=None, repr=False)

    @property
    def services(self) -> list[str]:
        return sorted({service for trace in self.traces for service in trace.counts})

    @property
    def duration_ms(self) -> float:
        """From the first span's start to the last one's end."""
        spans = [span for trace in self.traces for span in trace.spans]
        return (max(span.end for span in spans) - min(span.start for span in spans)) / 1000

    @property
    def longest(self) -> Trace:
        return max(self.traces, key=lambda trace: len(trace.spans))


class Owners:
    """Remembers who owns whom, so that the pods of what was deleted are known as well."""

    def __init__(self, kubeconfig: Path) -> None:
        self._api = kubeapi.core(kubeconfig)
        self._owners: dict[str, tuple[str, ...]] = {}
        self.pods: dict[str, PodInfo] = {}

    def look(self) -> None:
        """Reads all pods; a cluster that does not answer leaves what is known."""
        try:
            listed = self._get("/api/v1/pods")
        except (client.ApiException, urllib3.exceptions.HTTPError):
            return
        for pod in listed.get("items", []):
            meta = pod["metadata"]
            self.pods[meta["uid"]] = PodInfo(
                meta["namespace"],
                meta["name"],
                meta["uid"],
                pod["status"].get("phase", ""),
                self._chain(meta["namespace"], meta.get("ownerReferences", [])),
            )

    def _chain(self, namespace: str, references: Iterable[dict[str, Any]]) -> tuple[str, ...]:
        found: list[str] = []
        for reference in references:
            uid = reference["uid"]
            if uid not in self._owners:
                self._owners[uid] = self._above(namespace, reference)
            found += [uid, *self._owners[uid]]
        return tuple(found)

    def _above(self, namespace: str, reference: dict[str, Any]) -> tuple[str, ...]:
        """Owners of an owner: a ReplicaSet's Deployment, a Job's CronJob, an operator's kinds."""
        group = reference["apiVersion"]
        root = f"/apis/{group}" if "/" in group else f"/api/{group}"
        plural = _plural(reference["kind"])
        path = f"{root}/namespaces/{namespace}/{plural}/{reference['name']}"
        try:
            above = self._get(path)["metadata"].get("ownerReferences", [])
        except (client.ApiException, urllib3.exceptions.HTTPError):
            return ()
        return self._chain(namespace, above)

    def _get(self, path: str) -> dict[str, Any]:
        api = self._api.api_client
        token = api.configuration.get_api_key_with_prefix("authorization")
        headers = {"Accept": "application/json"} | ({"authorization": token} if token else {})
        answer = api.call_api(
            "GET",
            f"{api.configuration.host}{path}",
            header_params=headers,
            _request_timeout=_API_SECONDS,
        )
        status, body = answer.status, answer.read()
        if status != HTTPStatus.OK:
            raise client.ApiException(status=status, reason=answer.reason)
        document: dict[str, Any] = json.loads(body)
        return document


def _plural(kind: str) -> str:
    """The resource's name as the API's convention has it."""
    name = kind.lower()
    if name.endswith("y") and name[-2:-1] not in "aeiou":
        return f"{name[:-1]}ies"
    return f"{name}es" if name.endswith(("s", "x", "ch", "sh")) else f"{name}s"


def touched(requests: Iterable[Seen]) -> tuple[set[str], set[tuple[str, str]]]:
    """uids of the objects that were written, and namespace and name of written pods."""
    uids: set[str] = set()
    pods: set[tuple[str, str]] = set()
    for seen in requests:
        request = seen.request
        if not request.writes or not 200 <= seen.status < 300:
            continue
        if request.uid:
            uids.add(request.uid)
        if request.resource.partition("/")[0] == "pods":
            pods.add((request.namespace, request.name))
    return uids, pods


def is_of(pod: PodInfo, uids: set[str], pods: set[tuple[str, str]]) -> bool:
    return bool(uids & {pod.uid, *pod.owners}) or (pod.namespace, pod.name) in pods


@dataclass(frozen=True)
class Followed:
    """``traces`` of requests by Audit-Id; ``quiet``: nothing more was coming when it ended."""

    pods: list[PodWork]
    traces: dict[str, Trace]
    quiet: bool


def follow(
    jaeger: Jaeger, owners: Owners, requests: Sequence[Seen], since: float, seconds: float
) -> Followed:
    """Looks until nothing is new for ``_QUIET_SECONDS`` and no pod is still starting."""
    deadline = time.monotonic() + seconds
    quiet_from = time.monotonic()
    before: object = None
    traces: dict[str, Trace] = {}
    uids, named = touched(requests)
    while True:
        owners.look()
        mine = [pod for pod in owners.pods.values() if is_of(pod, uids, named)]
        work = [found for pod in mine if (found := _work(jaeger, pod, since))]
        traces |= _traces_of(jaeger, [r for r in requests if r.audit_id not in traces], since)
        now = (
            sorted((each.name, sum(len(trace.spans) for trace in each.traces)) for each in work),
            sorted((pod.name, pod.phase) for pod in mine),
            len(traces),
        )
        if now != before:
            before, quiet_from = now, time.monotonic()
        starting = any(pod.phase == "Pending" for pod in mine)
        quiet = time.monotonic() - quiet_from >= _QUIET_SECONDS and not starting
        if quiet or time.monotonic() > deadline:
            return Followed(_with_starts(jaeger, work), traces, quiet)
        time.sleep(_POLL_SECONDS)


def _traces_of(jaeger: Jaeger, requests: Iterable[Seen], since: float) -> dict[str, Trace]:
    start = int((since - 1) * 1_000_000)
    found = {
        each.audit_id: jaeger.find(
            "apiserver", tags={"audit-id": each.audit_id}, start=start, limit=1
        )
        for each in requests
        if each.audit_id
    }
    return {audit_id: traces[0] for audit_id, traces in found.items() if traces}


def _work(jaeger: Jaeger, pod: PodInfo, since: float) -> PodWork | None:
    """None where the kubelet has only looked at the pod since the command began."""
    found = [
        trace
        for operation in ("syncPod", "syncTerminatingPod")
        for trace in jaeger.find(
            "kubelet",
            operation,
            tags={"k8s.pod": f"{pod.namespace}/{pod.name}"},
            start=int(since * 1_000_000),
            limit=100,
        )
    ]
    same = [
        trace
        for trace in {trace.id: trace for trace in found}.values()
        if any(span.tags.get("k8s.pod.uid") in (None, pod.uid) for span in trace.spans)
        and (has_calls(trace) or _ends(trace))
    ]
    return PodWork(pod.namespace, pod.name, tuple(same)) if same else None


def _ends(trace: Trace) -> bool:
    return any(span.operation == "syncTerminatingPod" for span in trace.spans)


def _with_starts(jaeger: Jaeger, work: Iterable[PodWork]) -> list[PodWork]:
    """Takes apart the starts of those pods that were started, in order of their names."""
    done = [
        replace(each, start=look_for_start(jaeger, each.namespace, each.name))
        if any(map(has_calls, each.traces))
        else each
        for each in work
    ]
    return sorted(done, key=lambda each: (each.namespace, each.name))
