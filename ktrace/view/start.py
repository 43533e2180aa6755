"""A pod's start as JSON."""

from __future__ import annotations

from typing import Any

from ktrace.podstart.model import PodStart


def document(start: PodStart, jaeger_url: str) -> dict[str, Any]:
    """The shape that ``show --json`` promises."""
    return {
        "namespace": start.namespace,
        "pod": start.pod,
        "startedAt": start.started_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "durationMs": round(start.duration_ms, 1),
        "unexplainedMs": round(start.unexplained_ms, 1),
        "complete": start.complete,
        "spansWithoutParent": start.spans_without_parent,
        "notes": list(start.notes),
        "steps": [
            {
                "name": step.name,
                "component": step.component,
                "startMs": round(step.start_ms, 1),
                "durationMs": round(step.duration_ms, 1),
                "critical": step.critical,
                "unexplained": step.unexplained,
                "depth": step.depth,
                "error": step.error or None,
            }
            for step in start.steps
        ],
        "traceUrls": start.trace_urls(jaeger_url),
    }
