"""What is known of a Jaeger's memory, as a part of a bundle."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from runtime_observability.host.memory_loss import Memory, MemoryLoss


def document(memory: Memory | None) -> dict[str, Any] | None:
    if memory is None:
        return None
    loss = memory.loss
    return {
        "since": memory.since.isoformat(),
        "cluster": memory.cluster and memory.cluster.isoformat(),
        "loss": None
        if loss is None
        else {
            "at": loss.at.isoformat(),
            "restarts": loss.restarts,
            "outOfMemory": loss.out_of_memory,
            "replaced": loss.replaced,
        },
    }


def read(document: Any) -> Memory | None:
    """LookupError, TypeError or ValueError for what is none."""
    if document is None:
        return None
    loss, cluster = document["loss"], document.get("cluster")
    return Memory(
        datetime.fromisoformat(document["since"]),
        MemoryLoss(
            datetime.fromisoformat(loss["at"]),
            int(loss["restarts"]),
            bool(loss["outOfMemory"]),
            bool(loss["replaced"]),
        )
        if loss
        else None,
        datetime.fromisoformat(cluster) if cluster else None,
    )
