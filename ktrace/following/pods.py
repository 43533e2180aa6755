"""A pod as the API server lists it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ktrace.following import resizes
from ktrace.podstart.pod import DISRUPTION, READY

_OF_A_NODE = ("DeletionByTaintManager", "DeletionByPodGC")
"""Reasons of a DisruptionTarget (k8s.io/kubernetes pkg/controller/tainteviction and podgc)."""


@dataclass(frozen=True)
class Owner:
    """An object that an ownerReference names."""

    kind: str
    name: str
    uid: str
    api_version: str = field(default="v1", repr=False)
    is_controller: bool = False

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


@dataclass(frozen=True)
class PodInfo:
    """A pod as it was last listed; without ``uid`` it never was."""

    namespace: str
    name: str
    uid: str = ""
    phase: str = ""
    owners: tuple[str, ...] = ()
    """uids of its owners, of theirs, and so on."""
    settled: bool = True
    """Neither starting nor ending: its containers are ready, or all have ended."""
    node: str = ""
    controller: Owner | None = None
    created: datetime | None = None
    document: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)
    """The pod object; empty for a pod that never was listed."""

    @property
    def deleted(self) -> bool:
        """Whether its deletion has been requested."""
        return "deletionTimestamp" in (self.document.get("metadata") or {})

    @property
    def ended_with_node(self) -> bool:
        """Whether it is being ended for a taint of its node, or because that is gone."""
        conditions = (self.document.get("status") or {}).get("conditions") or ()
        return any(
            condition.get("type") == DISRUPTION and condition.get("reason") in _OF_A_NODE
            for condition in conditions
        )


def owners_of(document: dict[str, Any]) -> tuple[Owner, ...]:
    """The direct ones of any object."""
    return tuple(
        Owner(
            reference["kind"],
            reference["name"],
            reference["uid"],
            reference["apiVersion"],
            bool(reference.get("controller")),
        )
        for reference in document["metadata"].get("ownerReferences") or ()
    )


def controller(owners: Iterable[Owner]) -> Owner | None:
    return next((owner for owner in owners if owner.is_controller), None)


def pod_info(pod: dict[str, Any], owners: tuple[str, ...]) -> PodInfo:
    """``owners`` as in PodInfo. Raises LookupError if ``pod`` is not a pod."""
    meta, spec, status = pod["metadata"], pod.get("spec") or {}, pod.get("status") or {}
    return PodInfo(
        namespace=meta["namespace"],
        name=meta["name"],
        uid=meta["uid"],
        phase=status.get("phase", ""),
        owners=owners,
        settled="deletionTimestamp" not in meta and _is_settled(pod),
        node=spec.get("nodeName", ""),
        controller=controller(owners_of(pod)),
        created=time_of(meta.get("creationTimestamp")),
        document=pod,
    )


def _is_settled(pod: dict[str, Any]) -> bool:
    status = pod.get("status") or {}
    phase = status.get("phase")
    if phase == "Running":
        conditions = status.get("conditions") or ()
        ready = any(found["type"] == READY and found["status"] == "True" for found in conditions)
        return ready and not resizes.goes_on(pod)
    return phase in ("Succeeded", "Failed")


def time_of(text: str | None) -> datetime | None:
    """Kubernetes writes UTC, ``2026-01-31T12:00:00Z``; None for anything else."""
    try:
        return datetime.fromisoformat(text or "").replace(tzinfo=UTC)
    except ValueError:
        return None
