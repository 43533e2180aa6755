"""A change of a running pod's resources in place: what its kubelet has not done of it. Pure.

Since Kubernetes 1.33 conditions tell that, before it ``status.resize`` (k8s.io/kubernetes
pkg/kubelet/status/status_manager.go, k8s.io/api core/v1 PodResizeStatus).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ktrace.podstart import progress
from ktrace.podstart.model import Waiting
from ktrace.podstart.pod import Condition, Pod, pod_of

_PENDING = "PodResizePending"
_IN_PROGRESS = "PodResizeInProgress"
_NAMED = {"Deferred": "deferred", "Infeasible": "infeasible"}
_FAILED = "resize infeasible"
"""The node never has as much: the kubelet tries no more until something else is asked for."""
_BEFORE_CONDITIONS = {**_NAMED, "Proposed": "proposed", "InProgress": "in progress"}


def unfinished(document: Mapping[str, Any]) -> tuple[Waiting, ...]:
    """What became of the newest change of a pod, if the kubelet has not done it."""
    pod = pod_of(document)
    if pod.phase != "Running" or pod.deleted:
        return ()
    if _is_unread(document):
        return (Waiting(f"the kubelet of {pod.node} has not seen the change yet"),)
    return (*_by_conditions(pod), *_by_status(document))


def goes_on(document: Mapping[str, Any]) -> bool:
    """Whether more may come of that: a change that the node never has room for has failed."""
    return any(not waiting.what.startswith(_FAILED) for waiting in unfinished(document))


def _by_conditions(pod: Pod) -> Iterator[Waiting]:
    pending, going = pod.condition(_PENDING), pod.condition(_IN_PROGRESS)
    if pending and pending.status:
        named = _NAMED.get(pending.reason, f"pending: {pending.reason}")
        yield _waiting(named, pending.message, pending, stuck=True)
    if going and going.status:
        why = ": ".join(filter(None, (going.reason, going.message)))
        yield _waiting("in progress", why, going, stuck=bool(why))


def _by_status(document: Mapping[str, Any]) -> Iterator[Waiting]:
    status = _status(document)
    if named := _BEFORE_CONDITIONS.get(status):
        yield Waiting(f"resize {named}", stuck=status in _NAMED)


def _waiting(state: str, why: str, condition: Condition, *, stuck: bool) -> Waiting:
    told = f"resize {state}{f': {why}' if why else ''}"
    return Waiting(told, progress.at(condition.since), stuck)


def _status(document: Mapping[str, Any]) -> str:
    found = (document.get("status") or {}).get("resize")
    return found if isinstance(found, str) else ""


def _is_unread(document: Mapping[str, Any]) -> bool:
    """Whether its kubelet has not seen the newest specification yet; one that does not tell which
    it has seen, as before Kubernetes 1.34, has seen it."""
    meta, status = document.get("metadata") or {}, document.get("status") or {}
    wanted, seen = meta.get("generation"), status.get("observedGeneration")
    return isinstance(wanted, int) and isinstance(seen, int) and seen < wanted
