"""Deletions and evictions that the API server refused, and the PodDisruptionBudgets behind them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ktrace.following.cluster_api import ReadError
from ktrace.following.pods import PodInfo
from ktrace.recording.requests import RecordedRequest

_BUDGET = "DisruptionBudget"
"""The reason of the cause that names one."""
_NAMED = re.compile(r"The disruption budget (\S+) ")
"""checkAndDecrement in pkg/registry/core/pod/storage/eviction.go of Kubernetes 1.34 to 1.37."""
_SEVERAL = "more than one PodDisruptionBudget"
"""In the message where several select the pod; which, it does not say (the same file)."""
_SPOKEN = ("minAvailable", "maxUnavailable", "unhealthyPodEvictionPolicy")


@dataclass(frozen=True)
class Budget:
    """A PodDisruptionBudget as it was after the refusal; what it does not say is None."""

    name: str
    wants: Mapping[str, str]
    """Of its spec, by the members' names."""
    allowed: int | None = None
    healthy: int | None = None
    desired: int | None = None
    expected: int | None = None

    def document(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "wants": dict(self.wants),
            "disruptionsAllowed": self.allowed,
            "currentHealthy": self.healthy,
            "desiredHealthy": self.desired,
            "expectedPods": self.expected,
        }


@dataclass(frozen=True)
class RefusedRemoval:
    """One that may have been tried several times, with the same answer."""

    audit_id: str
    """Of the first request."""
    resource: str
    namespace: str
    name: str
    status: int
    message: str
    """With its causes."""
    times: int = 1
    budgets: tuple[Budget, ...] = ()
    unread: str = ""
    """Why it is not known what the budgets want."""

    def document(self) -> dict[str, Any]:
        """An entry of ``refusedRemovals`` in docs/schemas/run.json; a bundle keeps the same."""
        return {
            "resource": self.resource,
            "namespace": self.namespace or None,
            "name": self.name or None,
            "auditId": self.audit_id or None,
            "status": self.status,
            "message": self.message or None,
            "times": self.times,
            "budgets": [budget.document() for budget in self.budgets],
            "budgetsUnread": self.unread or None,
        }


def refused(
    requests: Iterable[RecordedRequest],
    pods: Sequence[PodInfo],
    read: Callable[[str], Mapping[str, Any]],
) -> tuple[RefusedRemoval, ...]:
    """Those of ``requests``; ``read`` is asked for the budgets, and may raise ReadError."""
    found: dict[tuple[Any, ...], RefusedRemoval] = {}
    listed: dict[str, Sequence[Mapping[str, Any]] | ReadError] = {}
    for request in requests:
        info = request.info
        if not info.removes or request.status < 400:
            continue
        causes = request.refused.causes
        key = (info.full_resource, info.namespace, info.name, request.status, request.refused)
        if before := found.get(key):
            found[key] = replace(before, times=before.times + 1)
            continue
        texts = (request.refused.message, *(cause.message for cause in causes))
        one = RefusedRemoval(
            request.audit_id,
            info.full_resource,
            info.namespace,
            info.name,
            request.status,
            " ".join(filter(None, texts)),
        )
        named = [
            match[1]
            for cause in causes
            if cause.reason == _BUDGET and (match := _NAMED.match(cause.message))
        ]
        if info.evicts and (named or _SEVERAL in one.message):
            if info.namespace not in listed:
                listed[info.namespace] = _budgets(info.namespace, read)
            one = _with_budgets(one, named, listed[info.namespace], pods)
        found[key] = one
    return tuple(found.values())


def _budgets(
    namespace: str, read: Callable[[str], Mapping[str, Any]]
) -> Sequence[Mapping[str, Any]] | ReadError:
    try:
        answer = read(f"/apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets")
    except ReadError as error:
        return error
    items = answer.get("items")
    return [item for item in items or () if isinstance(item, Mapping)]


def _with_budgets(
    one: RefusedRemoval,
    named: Sequence[str],
    listed: Sequence[Mapping[str, Any]] | ReadError,
    pods: Sequence[PodInfo],
) -> RefusedRemoval:
    if isinstance(listed, ReadError):
        return replace(one, unread=f"the PodDisruptionBudgets cannot be listed: {listed}")
    if named:
        budgets = [item for item in listed if _name(item) in named]
    else:
        own = (pod for pod in pods if (pod.namespace, pod.name) == (one.namespace, one.name))
        labels = next(((pod.document.get("metadata") or {}).get("labels") for pod in own), None)
        selected = (item for item in listed if labels is not None and _selects(item, labels or {}))
        budgets = list(selected)
    unread = "" if budgets else "no such PodDisruptionBudget is there any more"
    return replace(one, budgets=tuple(map(_budget, budgets)), unread=unread)


def _budget(item: Mapping[str, Any]) -> Budget:
    spec, status = item.get("spec") or {}, item.get("status") or {}

    def number(name: str) -> int | None:
        value = status.get(name)
        return value if isinstance(value, int) else None

    return Budget(
        _name(item),
        {key: str(spec[key]) for key in _SPOKEN if spec.get(key) is not None},
        number("disruptionsAllowed"),
        number("currentHealthy"),
        number("desiredHealthy"),
        number("expectedPods"),
    )


def _name(item: Mapping[str, Any]) -> str:
    return str((item.get("metadata") or {}).get("name") or "")


def _selects(item: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Whether a budget's selector matches; an empty one selects each pod of the namespace."""
    selector = (item.get("spec") or {}).get("selector")
    if selector is None:
        return False
    wanted = selector.get("matchLabels") or {}
    return wanted.items() <= labels.items() and all(
        _meets(expression, labels) for expression in selector.get("matchExpressions") or ()
    )


def _meets(expression: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    key, values = str(expression.get("key")), expression.get("values") or ()
    match expression.get("operator"):
        case "In":
            return key in labels and labels[key] in values
        case "NotIn":
            return key not in labels or labels[key] not in values
        case "Exists":
            return key in labels
        case "DoesNotExist":
            return key not in labels
        case _:
            return False
