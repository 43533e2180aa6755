"""What followed for the objects that a command touched: its pods, found by their owners."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import urllib3
from kubernetes import client

from components import kubeapi
from ktrace.jaeger import Jaeger, JaegerError, Trace
from ktrace.podstart import PodStart, has_calls
from ktrace.requests import Seen
from ktrace.starts import look_for_start

_POLL_SECONDS = 0.7
_QUIET_SECONDS = 2.5
"""Nothing new for this long: more than an exporter's delay, and than a controller takes to act."""
_API_SECONDS = 10
_ENDED = ("Succeeded", "Failed")


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
        answer = self._api.api_client.call_api(
            "GET",
            self._api.api_client.configuration.host + path,
            header_params={"Accept": "application/json"} | self._authorization(),
            _request_timeout=_API_SECONDS,
        )
        document: dict[str, Any] = json.loads(answer.read())
        return document

    def _authorization(self) -> dict[str, str]:
        token = self._api.api_client.configuration.get_api_key_with_prefix("authorization")
        return {"authorization": token} if token else {}


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


def follow(
    jaeger: Jaeger,
    owners: Owners,
    requests: Callable[[], list[Seen]],
    since: float,
    seconds: float,
) -> tuple[list[PodWork], dict[str, Trace], bool]:
    """Pods, traces of requests by Audit-Id, and whether all went quiet within ``seconds``.

    Two looks that agree, ``_QUIET_SECONDS`` apart, and no pod that is still starting.
    """
    deadline = time.monotonic() + seconds
    quiet_since = time.monotonic()
    before: object = None
    traces: dict[str, Trace] = {}
    while True:
        owners.look()
        uids, named = touched(requests())
        mine = [pod for pod in owners.pods.values() if is_of(pod, uids, named)]
        work = [found for pod in mine if (found := _work(jaeger, pod, since))]
        for seen in requests():
            if seen.audit_id and seen.audit_id not in traces:
                found_traces = jaeger.find(
                    "apiserver",
                    tags={"audit-id": seen.audit_id},
                    start=int((since - 1) * 1_000_000),
                    limit=1,
                )
                if found_traces:
                    traces[seen.audit_id] = found_traces[0]
        now = (
            sorted((each.name, sum(len(trace.spans) for trace in each.traces)) for each in work),
            sorted((pod.name, pod.phase) for pod in mine),
            len(traces),
        )
        if now != before:
            before, quiet_since = now, time.monotonic()
        starting = any(pod.phase == "Pending" and (pod.namespace, pod.name) for pod in mine)
        if time.monotonic() - quiet_since >= _QUIET_SECONDS and not starting:
            return _with_starts(jaeger, work), traces, True
        if time.monotonic() > deadline:
            return _with_starts(jaeger, work), traces, False
        time.sleep(_POLL_SECONDS)


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


def _with_starts(jaeger: Jaeger, work: list[PodWork]) -> list[PodWork]:
    done = []
    for each in work:
        start = None
        if any(has_calls(trace) for trace in each.traces):
            try:
                start = look_for_start(jaeger, each.namespace, each.name)
            except JaegerError:
                start = None
        done.append(PodWork(each.namespace, each.name, each.traces, start))
    return sorted(done, key=lambda each: (each.namespace, each.name))
