"""A start that has completed, as one line or one JSON document."""

from __future__ import annotations

from typing import Any

from ktrace.brief import clause
from ktrace.document import moment, versioned
from ktrace.podstart.model import PodStart
from ktrace.view import waterfall
from ktrace.view.terminal import counted, milliseconds


def line(start: PodStart) -> str:
    """When it began, the pod, its node, how long it took, and the slowest step."""
    parts = [
        f"{start.started_at.astimezone():%H:%M:%S}",
        f"{start.namespace}/{start.pod}",
        start.node or "no node",
        waterfall.length(start) or "length not known",
    ]
    if ready := waterfall.ready_after(start):
        parts.append(f"Ready {ready}")
    if slowest := start.slowest:
        parts.append(f"slowest: {clause(slowest.name)} {milliseconds(slowest.duration_ms)}")
    if not start.wanted_known:
        started = counted(start.started, "container")
        parts.append(f"{started} started, whether more were wanted is not known")
    return "  ".join(parts)


def document(start: PodStart, jaeger_url: str) -> dict[str, Any]:
    """The shape that a line of ``watch --json`` promises: docs/schemas/watch.json."""
    slowest, ready = start.slowest, start.ready.after_ms
    urls = start.trace_urls(jaeger_url)
    return versioned(
        {
            "namespace": start.namespace,
            "pod": start.pod,
            "uid": start.uid or None,
            "node": start.node or None,
            "startedAt": moment(start.started_at),
            "durationMs": round(start.duration_ms, 1) if start.length_known else None,
            "toTheSecond": start.to_the_second,
            "readyMs": None if ready is None else round(ready, 1),
            "complete": start.complete,
            "slowest": {"name": slowest.name, "durationMs": round(slowest.duration_ms, 1)}
            if slowest
            else None,
            "traceUrl": urls[0] if urls else None,
        }
    )
