"""Finalizers that keep what is deleted: their controllers remove them, and where none runs it is
there for good. Read-only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runtime_observability.host import node_kubectl

_LET_GO = (
    "wrangler.cattle.io/",  # of k3s, on each Node
    "batch.kubernetes.io/job-tracking",
    "foregroundDeletion",
    "orphan",
)
"""Finalizers that Kubernetes and k3s themselves remove from what is deleted: their beginnings."""


def of_others(*of: str, server: str) -> list[str]:
    """Which of those objects have finalizers that nothing of Kubernetes or k3s removes, without the
    pods of DaemonSets, which no drain waits for; none where that cannot be asked."""
    return [
        f"{node_kubectl.name_of(found)} ({', '.join(kept)})"
        for found in node_kubectl.objects(*of, server=server)
        if node_kubectl.is_drained(found) and (kept := _of_others(found))
    ]


def keeping(*of: str, server: str) -> list[str]:
    """Which of those objects are being deleted and wait; none where that cannot be asked."""
    return [
        f"{node_kubectl.name_of(found)} is kept by its finalizers {', '.join(finalizers)}"
        for found in node_kubectl.objects(*of, server=server)
        if "deletionTimestamp" in found["metadata"]
        and (finalizers := found["metadata"].get("finalizers"))
    ]


def _of_others(found: Mapping[str, Any]) -> list[str]:
    """Those that nothing of Kubernetes or k3s removes."""
    return [
        name for name in found["metadata"].get("finalizers", ()) if not name.startswith(_LET_GO)
    ]
