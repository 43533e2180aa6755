"""What is known of a Jaeger's memory, as a part of a bundle."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from runtime_observability.core.crashes import Crashes
from runtime_observability.host.memory_loss import Memory, MemoryLoss


def document(memory: Memory | None) -> dict[str, Any] | None:
    if memory is None:
        return None
    loss = memory.loss
    return {
        "since": memory.since and memory.since.isoformat(),
        "cluster": memory.cluster and memory.cluster.isoformat(),
        "loss": None
        if loss is None
        else {
            "at": loss.at.isoformat(),
            "replaced": loss.replaced,
            "down": loss.down,
            "crashes": _crashes_document(loss.crashes) if loss.crashes else None,
        },
        "crashes": [_crashes_document(crashes) for crashes in memory.crashes],
    }


def read(document: Any) -> Memory | None:
    """LookupError, TypeError or ValueError for what is none."""
    if document is None:
        return None
    loss, since, cluster = document["loss"], document["since"], document.get("cluster")
    return Memory(
        datetime.fromisoformat(since) if since else None,
        MemoryLoss(
            datetime.fromisoformat(loss["at"]),
            _crashes(loss["crashes"]) if loss.get("crashes") else None,
            bool(loss["replaced"]),
            bool(loss.get("down")),
        )
        if loss
        else None,
        datetime.fromisoformat(cluster) if cluster else None,
        tuple(map(_crashes, document.get("crashes", ()))),
    )


def _crashes_document(crashes: Crashes) -> dict[str, Any]:
    """Without what the container logged, unless it is a known cause: no one knows what is in it."""
    return {
        "of": crashes.of,
        "container": crashes.container,
        "times": crashes.times,
        "since": crashes.since.isoformat(),
        "ended": crashes.ended.isoformat(),
        "serves": crashes.serves and crashes.serves.isoformat(),
        "exitCode": crashes.exit_code,
        "outOfMemory": crashes.out_of_memory,
        "said": crashes.said if crashes.is_told_by_log else "",
        "inMemory": crashes.in_memory,
    }


def _crashes(document: Any) -> Crashes:
    serves, code = document["serves"], document["exitCode"]
    return Crashes(
        str(document["of"]),
        str(document["container"]),
        int(document["times"]),
        datetime.fromisoformat(document["since"]),
        datetime.fromisoformat(document["ended"]),
        datetime.fromisoformat(serves) if serves else None,
        None if code is None else int(code),
        bool(document["outOfMemory"]),
        str(document["said"]),
        in_memory=bool(document["inMemory"]),
    )
