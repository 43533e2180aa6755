"""A pod's start as JSON."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ktrace.podstart.model import PodStart, Step


def document(start: PodStart, jaeger_url: str) -> dict[str, Any]:
    """The shape that ``show --json`` promises."""
    return {
        "namespace": start.namespace,
        "pod": start.pod,
        "uid": start.uid or None,
        "node": start.node or None,
        "startedAt": _moment(start.started_at),
        "durationMs": round(start.duration_ms, 1),
        "unexplainedMs": round(start.unexplained_ms, 1),
        "beginningLost": start.beginning_lost,
        "complete": start.complete,
        "containersStarted": start.started,
        "containersWanted": start.wanted,
        "containers": [
            {
                "name": container.name or None,
                "kind": container.kind,
                "started": container.started,
            }
            for container in start.containers
        ],
        "ready": {
            "afterMs": None if start.ready.after_ms is None else round(start.ready.after_ms, 1),
            "source": start.ready.source or None,
            "note": start.ready.note or None,
            "steps": [_step(step) for step in start.ready.steps],
        },
        "waitingFor": [
            {
                "what": waiting.what,
                "since": _moment(waiting.since) if waiting.since else None,
                "stuck": waiting.stuck,
            }
            for waiting in start.waiting
        ],
        "missing": list(start.missing),
        "spansWithoutParent": start.spans_without_parent,
        "notes": list(start.notes),
        "steps": [_step(step) for step in start.steps],
        "traceUrls": start.trace_urls(jaeger_url),
    }


def _step(step: Step) -> dict[str, Any]:
    return {
        "name": step.name,
        "component": step.component,
        "node": step.node or None,
        "startMs": round(step.start_ms, 1),
        "durationMs": round(step.duration_ms, 1),
        "critical": step.critical,
        "share": round(step.share, 3),
        "unexplained": step.unexplained,
        "depth": step.depth,
        "error": step.error or None,
    }


def _moment(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
