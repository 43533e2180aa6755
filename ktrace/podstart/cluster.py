"""Reads the pod object and its Events from the cluster of a kubeconfig.

Only what k3d writes is read without the Kubernetes client, whose import costs a second.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import yaml

from ktrace.api import Api
from ktrace.bundle import session
from ktrace.podstart.any_cluster import AnyCluster
from ktrace.podstart.claims import Claim
from ktrace.podstart.pod import READY, Condition, Pod, PodEvent, condition_of, events_of, pod_of
from ktrace.text import clean, cleaned
from runtime_observability.host import api_server
from runtime_observability.host.api_server import ApiError, ApiServer, UnusableKubeconfigError
from runtime_observability.host.kubeapi import KubeconfigError

NO_CLUSTER = "the pod object and its Events: no kubeconfig is known (--kubeconfig PATH, or a stack)"
_GONE = "the pod object: no pod of that name exists any more"
_NOT_FOUND = 404
_CLAIMS = "/apis/resource.k8s.io"
_NO_NODE = "there is no node of that name"
_CLUSTER_KEYS = {"server", "certificate-authority-data"}
_USER_KEYS = {"token", "client-certificate-data", "client-key-data"}


@dataclass(frozen=True)
class FromCluster:
    """``missing`` has one line for each source that could not be read, with the reason."""

    pod: Pod | None = None
    events: tuple[PodEvent, ...] = ()
    missing: tuple[str, ...] = (NO_CLUSTER,)
    gone: bool = False
    """Whether the API server has no pod of that name."""
    node_ready: Condition | None = None
    """Of the pod's node; read only while the pod waits for the kubelet, and may be read."""


NEVER_LISTED = FromCluster(missing=("the pod object: the pod was never listed",))


def connected(kubeconfig: Path | None) -> AbstractContextManager[Api | str]:
    """The API of the cluster, or the reason why there is none."""
    return session.current().api(lambda: _connected(kubeconfig))


@contextmanager
def _connected(kubeconfig: Path | None) -> Iterator[Api | str]:
    if kubeconfig is None:
        yield NO_CLUSTER
        return
    try:
        server = _plain(kubeconfig)
    except UnusableKubeconfigError:
        try:
            any_cluster = AnyCluster(kubeconfig)
        except KubeconfigError as error:
            yield f"the pod object and its Events: {clean(str(error))}"
        else:
            yield any_cluster
        return
    with server:
        yield server


def _plain(kubeconfig: Path) -> ApiServer:
    """UnusableKubeconfigError for one that has more than k3d writes."""
    server = ApiServer(kubeconfig)
    document = yaml.safe_load(kubeconfig.read_text(encoding="utf-8"))
    others = _other_keys(document, "clusters", "cluster", _CLUSTER_KEYS)
    others |= _other_keys(document, "users", "user", _USER_KEYS)
    if others:
        with server:
            raise UnusableKubeconfigError(f"{kubeconfig} has {', '.join(sorted(others))}")
    return server


def _other_keys(document: Any, entries: str, kind: str, known: set[str]) -> set[str]:
    return {key for entry in document[entries] for key in entry.get(kind) or {}} - known


def paths(namespace: str, name: str) -> tuple[str, str]:
    """Where the API server has the pod of that name, and its Events."""
    selector = quote(f"involvedObject.kind=Pod,involvedObject.name={name}", safe="")
    path = f"/api/v1/namespaces/{quote(namespace, safe='')}"
    return f"{path}/pods/{quote(name, safe='')}", f"{path}/events?fieldSelector={selector}"


def read(api: Api | str, namespace: str, name: str) -> FromCluster:
    """What the cluster has of the pod of that name now; never raises for a cluster that fails."""
    if isinstance(api, str):
        return FromCluster(missing=(api,))
    missing: list[str] = []
    pod, gone = None, False
    try:
        pod = pod_of(cleaned(api.get(paths(namespace, name)[0])))
    except ApiError as error:
        gone = error.status == _NOT_FOUND
        missing.append(_GONE if gone else f"the pod object: {_reason(error)}")
    except api_server.FAILURES as error:
        return FromCluster(missing=(f"the pod object and its Events: {_reason(error)}",))
    pod = _with_claims(api, namespace, pod) if pod else None
    events, unread = _events(api, namespace, name, pod)
    missing += unread
    waits = pod is not None and (pod.waits_for_kubelet or pod.made_unready)
    ready = node_ready(api, pod.node) if pod and waits else None
    return FromCluster(pod, events, tuple(missing), gone, ready)


def of_listed(api: Api | str, namespace: str, name: str, pod: Pod) -> FromCluster:
    """``pod`` with its Events, which are read where it has not got to its end: they say why."""
    ready = pod.condition(READY)
    if pod.ended or pod.deleted or (ready and ready.status):
        return FromCluster(pod, missing=())
    if isinstance(api, str):
        return FromCluster(pod, missing=(api,))
    pod = _with_claims(api, namespace, pod)
    events, unread = _events(api, namespace, name, pod)
    return FromCluster(pod, events, unread)


def _with_claims(api: Api, namespace: str, pod: Pod) -> Pod:
    """``pod`` with what is known of its claims, while nothing has bound it to a node."""
    if pod.node or pod.deleted or pod.ended:
        return pod
    return replace(pod, claims=tuple(_read_claims(api, namespace, pod.claims)))


def _read_claims(api: Api, namespace: str, claims: Sequence[Claim]) -> Iterator[Claim]:
    """``claims`` with what the API server has of them; as they are where it does not tell."""
    version = _version_of_claims(api) if any(claim.name for claim in claims) else ""
    path = f"{_CLAIMS}/{version}/namespaces/{quote(namespace, safe='')}/resourceclaims"
    for claim in claims:
        if not (claim.name and version):
            yield claim
            continue
        try:
            found = api.get(f"{path}/{quote(claim.name, safe='')}")
        except api_server.FAILURES as error:
            gone = isinstance(error, ApiError) and error.status == _NOT_FOUND
            yield replace(claim, exists=False) if gone else claim
        else:
            allocated = bool((found.get("status") or {}).get("allocation"))
            yield replace(claim, exists=True, allocated=allocated)


def _version_of_claims(api: Api) -> str:
    """Empty where the API server serves none, or does not tell."""
    try:
        return quote(api.get(_CLAIMS)["preferredVersion"]["version"], safe="")
    except (*api_server.FAILURES, LookupError, TypeError):
        return ""


def _events(
    api: Api, namespace: str, name: str, pod: Pod | None
) -> tuple[tuple[PodEvent, ...], tuple[str, ...]]:
    """The pod's Events, and why there are none if they cannot be read."""
    try:
        return events_of(cleaned(api.get(paths(namespace, name)[1])), pod), ()
    except api_server.FAILURES as error:
        return (), (f"the pod's Events: {_reason(error)}",)


def node_ready(api: Api | str, node: str) -> Condition | None:
    """The node's condition; None if it cannot be read: a user may read pods and no nodes."""
    if isinstance(api, str):
        return None
    try:
        return condition_of(cleaned(api.get(f"/api/v1/nodes/{quote(node, safe='')}")), READY)
    except api_server.FAILURES as error:
        gone = isinstance(error, ApiError) and error.status == _NOT_FOUND
        return Condition(READY, status=False, reason=_NO_NODE, unknown=True) if gone else None


def _reason(error: Exception) -> str:
    return clean(api_server.reason(error))
