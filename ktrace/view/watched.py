"""A start that has completed, as one line or one JSON document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ktrace.brief import clause
from ktrace.document import moment, versioned
from ktrace.podstart.model import PodStart
from ktrace.view import waterfall
from ktrace.view.terminal import counted, milliseconds

_LEAST_ASKED_FOR = ("node", "ready", "slowest", "time")
_SHORTEST_STEP = 16
"""Characters of a step's name, with the word before it, that tell more than nothing."""


def line(start: PodStart, columns: int | None = None) -> str:
    """When it began, the pod, its node, how long it took, and the slowest step.

    Of a line of ``columns`` that has no room for all, what is least asked for is left out, and the
    step is cut.
    """
    slowest = start.slowest
    step = f"slowest: {clause(slowest.name)}" if slowest else ""
    took = f" {milliseconds(slowest.duration_ms)}" if slowest else ""
    ready = waterfall.ready_after(start)
    started = counted(start.started, "container")
    parts = {
        "time": f"{start.started_at.astimezone():%H:%M:%S}",
        "pod": f"{start.namespace}/{start.pod}",
        "node": start.node or "no node",
        "length": waterfall.length(start) or "length not known",
        "ready": f"Ready {ready}" if ready else "",
        "slowest": step + took,
        "wanted": ""
        if start.wanted_known
        else f"{started} started, whether more were wanted is not known",
    }
    told = _joined(parts)
    for name in _LEAST_ASKED_FOR if columns else ():
        too_long = len(told) - (columns or 0)
        if too_long <= 0:
            break
        rest = len(step) - too_long - 1
        if name == "slowest" and rest >= _SHORTEST_STEP:
            parts[name] = f"{step[:rest]}…{took}"
        else:
            parts[name] = ""
        told = _joined(parts)
    return told


def _joined(parts: Mapping[str, str]) -> str:
    return "  ".join(filter(None, parts.values()))


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
