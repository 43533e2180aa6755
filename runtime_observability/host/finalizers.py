"""Finalizers that keep what is deleted: their controllers remove them, and where none runs it is
there for good. Read-only."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from runtime_observability.host import node_kubectl
from runtime_observability.host.node_kubectl import AgentsError

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
        f"{name(found)} ({', '.join(kept)})"
        for found in objects(*of, server=server)
        if not _is_of_daemonset(found) and (kept := _of_others(found))
    ]


def keeping(*of: str, server: str) -> list[str]:
    """Which of those objects are being deleted and wait; none where that cannot be asked."""
    return [
        f"{name(found)} is kept by its finalizers {', '.join(finalizers)}"
        for found in objects(*of, server=server)
        if "deletionTimestamp" in found["metadata"]
        and (finalizers := found["metadata"].get("finalizers"))
    ]


def objects(*of: str, server: str) -> list[dict[str, Any]]:
    """Those objects; none where that cannot be asked."""
    try:
        got = json.loads(
            node_kubectl.read("", *of, "--ignore-not-found", "--output=json", server=server)
        )
    except (AgentsError, ValueError):
        return []
    objects: list[dict[str, Any]] = got.get("items", [got])
    return objects


def name(found: Mapping[str, Any]) -> str:
    """Its kind, namespace and name."""
    metadata = found["metadata"]
    path = "/".join(filter(None, (metadata.get("namespace"), metadata["name"])))
    return f"{found['kind']} {path}"


def _is_of_daemonset(pod: Mapping[str, Any]) -> bool:
    owners = pod["metadata"].get("ownerReferences", ())
    return any(owner["kind"] == "DaemonSet" for owner in owners)


def _of_others(found: Mapping[str, Any]) -> list[str]:
    """Those that nothing of Kubernetes or k3s removes."""
    return [
        name for name in found["metadata"].get("finalizers", ()) if not name.startswith(_LET_GO)
    ]
