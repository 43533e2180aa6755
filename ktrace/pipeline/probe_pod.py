"""The probe's pod: created, watched, and deleted."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from ktrace.pipeline import left_pods
from ktrace.podstart.pod import NEVER_RAN
from ktrace.text import clean, cleaned
from runtime_observability.host import api_server
from runtime_observability.host.api_server import ApiError, ApiServer
from runtime_observability.host.http import httpx

NAMESPACE = "default"
_PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
_FORBIDDEN, _NOT_FOUND = 403, 404
_POLL_SECONDS = 0.2
_DELETE_ATTEMPTS = 3
_LIMIT_RANGE_STOPPED = (
    f"a LimitRange of namespace {NAMESPACE} stopped it: `kubectl -n {NAMESPACE} describe "
    "limitrange` shows its bounds"
)
_STOPPED_BY = (
    (
        "violates PodSecurity",
        f"the Pod Security of namespace {NAMESPACE} stopped it: lower the level in the namespace's "
        "label pod-security.kubernetes.io/enforce",
    ),
    (
        "quota",
        f"a ResourceQuota of namespace {NAMESPACE} stopped it: raise it, `kubectl -n {NAMESPACE} "
        "describe resourcequota` shows what is used",
    ),
    *((part, _LIMIT_RANGE_STOPPED) for part in ("per Container is", "per Pod is")),
    (
        "service account",
        f"ServiceAccount default of namespace {NAMESPACE} is missing: see whether the cluster's "
        f"controller manager runs, or `kubectl -n {NAMESPACE} create serviceaccount default`",
    ),
    (
        "being terminated",
        f"namespace {NAMESPACE} is being deleted: `kubectl get namespace {NAMESPACE} -o yaml` "
        "shows the finalizers that it waits for",
    ),
    (
        f'namespaces "{NAMESPACE}" not found',
        f"create it: `kubectl create namespace {NAMESPACE}`",
    ),
    (
        "failed calling webhook",
        "this webhook stopped it: start it, or set its failurePolicy to Ignore",
    ),
    (
        "admission webhook",
        f"this webhook stopped it: let it admit pods trace-probe-* of namespace {NAMESPACE}",
    ),
    (
        "ValidatingAdmissionPolicy",
        f"this policy stopped it: let it admit pods trace-probe-* of namespace {NAMESPACE}",
    ),
    (
        "cannot create resource",
        f"RBAC stopped it: the kubeconfig's user must create pods in namespace {NAMESPACE}",
    ),
)
"""By a part of the API server's message: who refused the pod, and the cure."""
_MAY_DELETE = f"let it admit the deletion of pods trace-probe-* of namespace {NAMESPACE}"
_KEPT_BY = (
    ("failed calling webhook", "start this webhook, or set its failurePolicy to Ignore"),
    ("admission webhook", _MAY_DELETE),
    ("ValidatingAdmissionPolicy", _MAY_DELETE),
)
"""The same for who keeps it, which also refuses kubectl."""
_CONSTRAINING = ("violates PodSecurity", "must specify", "request is spec", "limit is spec")
"""In messages of Pod Security, of a ResourceQuota that wants requests and limits, and of a
LimitRange that does: ``No limit is specified``."""


class ProbeError(Exception):
    """The probe did not find what it must; the message names the cause and what was seen."""


class SilenceError(ProbeError):
    """``components`` sent nothing, although the pod ran on ``node``; empty: it may have run."""

    def __init__(self, message: str, components: Sequence[str], node: str) -> None:
        super().__init__(message)
        self.components = tuple(components)
        self.node = node


@dataclass(frozen=True)
class CreatedPod:
    name: str
    audit_id: str
    """The API server's id of the request that created the pod; empty where it sends none."""
    created_at: float
    """Unix time in seconds, just before the request."""

    @property
    def key(self) -> str:
        return f"{NAMESPACE}/{self.name}"

    @property
    def since(self) -> int:
        """From when to search for its spans, in microseconds: clocks may differ by a second."""
        return int((self.created_at - 1) * 1_000_000)


@dataclass(frozen=True)
class PodState:
    """What the API server knows of the pod at one moment."""

    summary: str
    """Its phase and what its containers wait for, such as ``Pending, ErrImagePull``."""
    ran: bool | None = None
    """Whether a container has started; None where the pod cannot be read."""
    ended: bool = False
    """Whether it never changes any more."""
    node: str = ""
    """Empty before it is scheduled."""
    unschedulable: str = ""
    """The scheduler's reason; empty where the scheduler has not refused the pod."""
    waits_for: str = ""
    """Its container's reason for waiting, such as ``ErrImagePull``; empty if it does not wait."""
    gone: bool = False
    """Whether somebody has deleted it."""


@contextmanager
def probe_pod(api: ApiServer, image: str, seconds: float) -> Iterator[CreatedPod]:
    """A pod that does nothing and is deleted at the end, whatever happens but a kill: that is made
    good by the next one.

    Tries for up to ``seconds`` to create it; raises ProbeError when it is refused.
    """
    left_pods.remove(api, _PODS)
    pod = _create(api, image, seconds)
    try:
        yield pod
    except BaseException:
        with suppress(ProbeError):  # the first error says more
            _delete(api, pod)
        raise
    _delete(api, pod)


def state_of(api: ApiServer, pod: CreatedPod) -> PodState:
    try:
        document = cleaned(api.get(f"{_PODS}/{pod.name}"))
    except api_server.FAILURES as error:
        gone = isinstance(error, ApiError) and error.status == _NOT_FOUND
        return PodState(f"cannot be read ({clean(api_server.reason(error))})", gone=gone)
    status, spec = document.get("status") or {}, document.get("spec") or {}
    containers = status.get("containerStatuses") or []
    states = [container.get("state") or {} for container in containers]
    waiting = [state["waiting"] for state in states if state.get("waiting")]
    phase = str(status.get("phase"))
    reasons = [status, *waiting] if phase != "Running" else waiting
    conditions = status.get("conditions") or []
    disruptions = [condition for condition in conditions if _disrupts(condition)]
    ended = [state["terminated"] for state in states if _never_started(state)]
    return PodState(
        summary=", ".join([phase, *filter(None, map(_reason, [*reasons, *ended, *disruptions]))]),
        ran=phase in ("Running", "Succeeded") or any(map(_has_started, containers)),
        ended=phase in ("Succeeded", "Failed"),
        node=str(spec.get("nodeName") or ""),
        unschedulable=_unschedulable(conditions),
        waits_for=next((str(wait["reason"]) for wait in waiting if wait.get("reason")), ""),
    )


def _reason(of: dict[str, Any]) -> str:
    return ": ".join(str(of[key]) for key in ("reason", "message") if of.get(key))


def _has_started(container: dict[str, Any]) -> bool:
    states = (container.get("state") or {}, container.get("lastState") or {})
    return any(
        bool(state.get("running")) or (bool(state.get("terminated")) and not _never_started(state))
        for state in states
    )


def _never_started(state: dict[str, Any]) -> bool:
    return (state.get("terminated") or {}).get("reason") in NEVER_RAN


def _disrupts(condition: dict[str, Any]) -> bool:
    """An eviction, a preemption or a taint, since Kubernetes 1.26."""
    return condition.get("type") == "DisruptionTarget" and condition.get("status") == "True"


def _unschedulable(conditions: list[dict[str, Any]]) -> str:
    for condition in conditions:
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            return _reason(condition) or "the scheduler names no reason"
    return ""


def _create(api: ApiServer, image: str, seconds: float) -> CreatedPod:
    """Without constraints first: a CPU limit would slow down the start that is measured."""
    deadline = time.monotonic() + seconds
    constrained = False
    while True:
        name = f"trace-probe-{secrets.token_hex(4)}"
        created_at = time.time()
        try:
            created = api.post(_PODS, _manifest(name, image, constrained=constrained))
        except ApiError as error:
            if not constrained and any(text in str(error) for text in _CONSTRAINING):
                constrained = True
                continue
            if not _is_of_a_new_namespace(error) or time.monotonic() > deadline:
                raise ProbeError(_refusal(str(error))) from error
        except httpx.HTTPError as error:
            # The answer may be lost, and the pod be there.
            with suppress(*api_server.FAILURES):
                api.delete(f"{_PODS}/{name}", gracePeriodSeconds=0)
            if isinstance(error, httpx.ConnectError) or time.monotonic() > deadline:
                raise
        else:
            return CreatedPod(name, created.headers.get("audit-id", ""), created_at)
        time.sleep(_POLL_SECONDS)


def _is_of_a_new_namespace(error: ApiError) -> bool:
    """A new cluster creates a namespace's service account a moment after the namespace."""
    return error.status == _FORBIDDEN and "service account" in str(error)


def _refusal(message: str) -> str:
    line = f"the probe's pod cannot be created: {clean(message)}"
    cures = (cure for part, cure in _STOPPED_BY if part in message)
    cure = next(cures, "")
    return f"{line.rstrip('.')}. {cure[:1].upper()}{cure[1:]}" if cure else line


def _delete(api: ApiServer, pod: CreatedPod) -> None:
    """A pod that is gone is deleted. ProbeError when it stays."""
    for attempt in range(_DELETE_ATTEMPTS):
        try:
            api.delete(f"{_PODS}/{pod.name}", gracePeriodSeconds=0)
        except api_server.FAILURES as error:
            if isinstance(error, ApiError) and error.status == _NOT_FOUND:
                return
            if attempt + 1 == _DELETE_ATTEMPTS:
                why = clean(api_server.reason(error))
                by_hand = f"`kubectl -n {NAMESPACE} delete pod {pod.name}` does so"
                cures = (
                    f"{cure}: the next probe deletes it" for who, cure in _KEPT_BY if who in why
                )
                told = f"pod {pod.key} cannot be deleted: {why}; {next(cures, by_hand)}"
                raise ProbeError(told) from error
            time.sleep(_POLL_SECONDS)
        else:
            return


def _manifest(name: str, image: str, *, constrained: bool) -> dict[str, Any]:
    """``constrained``: for a namespace under Pod Security ``restricted`` or a ResourceQuota."""
    container = {"name": "probe", "image": image, "imagePullPolicy": "IfNotPresent"}
    spec = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 0,
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "labels": {"app": left_pods.APP},
            "annotations": {left_pods.PROCESS: left_pods.own_process()},
        },
        "spec": spec
        | (_POD_CONSTRAINTS if constrained else {})
        | {"containers": [container | (_CONTAINER_CONSTRAINTS if constrained else {})]},
    }


_POD_CONSTRAINTS: dict[str, Any] = {
    "securityContext": {
        "runAsNonRoot": True,
        "runAsUser": 65535,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
}
_CONTAINER_CONSTRAINTS: dict[str, Any] = {
    "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    "resources": {
        "requests": {"cpu": "10m", "memory": "16Mi", "ephemeral-storage": "1Mi"},
        "limits": {"cpu": "100m", "memory": "64Mi", "ephemeral-storage": "16Mi"},
    },
}
"""What the level ``restricted`` demands (Kubernetes docs, Pod Security Standards), and a value for
every resource of which a ResourceQuota may demand one."""
