"""A Deployment, StatefulSet, DaemonSet, Job or ReplicaSet, as its JSON tells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ktrace.api import maps
from ktrace.podstart import pod
from ktrace.rollout.kinds import DAEMON_SET, JOB, REPLICA_SET, STATEFUL_SET, Kind

_REVISION = "deployment.kubernetes.io/revision"
_AVAILABLE = "NewReplicaSetAvailable"
"""Reason of a Deployment's condition Progressing once its newest ReplicaSet was available."""
_SUBRESOURCES = ("", "scale")
"""Through which a specification is written."""


@dataclass(frozen=True)
class Condition:
    type: str
    status: bool
    reason: str = ""
    message: str = ""
    updated: datetime | None = None


@dataclass(frozen=True)
class Workload:
    """``wanted`` is how many pods of the newest revision there should be; None: not known."""

    kind: Kind
    namespace: str
    name: str
    uid: str = ""
    created: datetime | None = None
    changed: datetime | None = None
    """The second in which its specification or its labels were last written; None: not told."""
    wanted: int | None = None
    observed: bool = True
    """Whether its controller has seen the newest specification."""
    paused: bool = False
    """A Deployment that is paused, or a Job that is suspended."""
    on_delete: bool = False
    """Whether an old pod is only replaced when somebody deletes it."""
    partition: int = 0
    """A StatefulSet's: pods with a lower ordinal stay as they are."""
    one_by_one: bool = False
    """Whether even its first pods are started one after another."""
    completions: int | None = None
    """A Job's; None for one that ends with its first success."""
    succeeded: int = 0
    failed: int = 0
    ready_seconds: int = 0
    """``minReadySeconds``."""
    grace: int = 30
    """Seconds that its pods have to end."""
    scaled_by: str = ""
    """``deployment/web``: the owner of a ReplicaSet, which writes it once for each step."""
    revision: str = ""
    """What a StatefulSet says of its newest revision."""
    conditions: tuple[Condition, ...] = ()

    @property
    def title(self) -> str:
        return f"{self.kind.title} {self.namespace}/{self.name}"

    def condition(self, kind: str) -> Condition | None:
        return next((found for found in self.conditions if found.type == kind), None)

    @property
    def completed(self) -> datetime | None:
        """When a Deployment's newest revision was first available, to the second."""
        found = self.condition("Progressing")
        available = found and found.status and found.reason == _AVAILABLE
        return found.updated if found and available else None

    @property
    def problem(self) -> str:
        """What its controller says that it cannot do; empty if nothing."""
        for kind, bad in (("ReplicaFailure", True), ("Progressing", False), ("Failed", True)):
            found = self.condition(kind)
            if found and found.status is bad:
                return f"{found.reason}: {found.message}" if found.message else found.reason
        return ""

    def has(self, condition: str) -> bool:
        found = self.condition(condition)
        return bool(found and found.status)


def workload_of(kind: Kind, document: Mapping[str, Any]) -> Workload:
    """A workload from its JSON; whatever that lacks is empty or not known."""
    meta, spec, status = (_map(document.get(key)) for key in ("metadata", "spec", "status"))
    template = _map(_map(spec.get("template")).get("spec"))
    generation, seen = _number(meta.get("generation")), _number(status.get("observedGeneration"))
    observed = kind is JOB or generation is None or (seen or 0) >= generation
    strategy = _map(spec.get("updateStrategy"))
    rolling = _map(strategy.get("rollingUpdate"))
    grace = _number(template.get("terminationGracePeriodSeconds"))
    return Workload(
        kind,
        str(meta.get("namespace", "")),
        str(meta.get("name", "")),
        str(meta.get("uid", "")),
        created=time_of(meta.get("creationTimestamp")),
        changed=changed_at(document),
        wanted=_wanted(kind, spec, status, observed=observed),
        observed=observed,
        paused=bool(spec.get("suspend" if kind is JOB else "paused")),
        on_delete=strategy.get("type") == "OnDelete",
        partition=_number(rolling.get("partition")) or 0 if kind is STATEFUL_SET else 0,
        one_by_one=kind is STATEFUL_SET and spec.get("podManagementPolicy") != "Parallel",
        completions=_number(spec.get("completions")) if kind is JOB else None,
        succeeded=_number(status.get("succeeded")) or 0,
        failed=_number(status.get("failed")) or 0,
        ready_seconds=_number(spec.get("minReadySeconds")) or 0,
        grace=30 if grace is None else grace,
        scaled_by=_controller(meta) if kind is REPLICA_SET else "",
        revision=str(status.get("updateRevision", "")) if kind is STATEFUL_SET else "",
        conditions=tuple(map(_condition, maps(status.get("conditions")))),
    )


def changed_at(document: Mapping[str, Any]) -> datetime | None:
    """When a field manager last wrote the specification, as ``managedFields`` tell.

    It may have written labels in the same second, and nothing that pods are made of.
    """
    times = [
        time_of(entry.get("time"))
        for entry in maps(_map(document.get("metadata")).get("managedFields"))
        if entry.get("subresource", "") in _SUBRESOURCES and "f:spec" in _map(entry.get("fieldsV1"))
    ]
    return max(filter(None, times), default=None)


def revision_number(document: Mapping[str, Any]) -> int | None:
    """Which revision of its Deployment a ReplicaSet is, as its annotation tells."""
    told = _map(_map(document.get("metadata")).get("annotations")).get(_REVISION)
    return int(told) if isinstance(told, str) and told.isdigit() else None


def time_of(value: Any) -> datetime | None:
    """A timestamp of Kubernetes, to the second."""
    microseconds = pod.moment(value)
    return None if microseconds is None else datetime.fromtimestamp(microseconds / pod.SECOND, UTC)


def _wanted(
    kind: Kind, spec: Mapping[str, Any], status: Mapping[str, Any], *, observed: bool
) -> int | None:
    if kind is DAEMON_SET:
        # Its controller alone knows how many nodes it is for.
        return _number(status.get("desiredNumberScheduled")) if observed else None
    if kind is JOB:
        return _of_job(spec, status)
    wanted = _number(spec.get("replicas"))
    return 1 if wanted is None else wanted


def _controller(meta: Mapping[str, Any]) -> str:
    owners = (owner for owner in maps(meta.get("ownerReferences")) if owner.get("controller"))
    owner = next(owners, {})
    return f"{str(owner.get('kind', '')).lower()}/{owner.get('name', '')}" if owner else ""


def _of_job(spec: Mapping[str, Any], status: Mapping[str, Any]) -> int:
    """How many pods run at once, or still have to: those that have succeeded come on top."""
    parallel, completions = _number(spec.get("parallelism")), _number(spec.get("completions"))
    parallel = 1 if parallel is None else parallel
    succeeded = _number(status.get("succeeded")) or 0
    left = parallel if completions is None else min(parallel, max(0, completions - succeeded))
    if completions is None and succeeded:
        left = _number(status.get("active")) or 0  # none is started any more
    return 0 if status.get("completionTime") else left


def _condition(document: Mapping[str, Any]) -> Condition:
    times = (document.get("lastUpdateTime"), document.get("lastTransitionTime"))
    return Condition(
        type=str(document.get("type", "")),
        status=document.get("status") == "True",
        reason=str(document.get("reason", "")),
        message=" ".join(str(document.get("message", "")).split()),
        updated=next(filter(None, map(time_of, times)), None),
    )


def _map(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _number(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
