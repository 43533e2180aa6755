"""A pod's start as JSON."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ktrace.document import moment, versioned
from ktrace.podstart.model import PodStart, Ready, Step, Waiting


def document(start: PodStart, jaeger_url: str) -> dict[str, Any]:
    """The shape that ``show --json`` promises: docs/schemas/show.json."""
    return versioned(
        {
            "namespace": start.namespace,
            "pod": start.pod,
            "uid": start.uid or None,
            "node": start.node or None,
            "startedAt": moment(start.started_at),
            "beginningKnown": start.beginning_known,
            "observedAt": moment(start.looked_at) if start.looked_at else None,
            "durationMs": round(start.duration_ms, 1) if start.length_known else None,
            "soFarMs": round(start.duration_ms, 1) if start.so_far else None,
            "toTheSecond": start.to_the_second,
            "beginningLost": start.beginning_lost,
            "unexplainedMs": round(start.unexplained_ms, 1),
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
            "ready": _ready(start.ready),
            "waitingFor": [waiting_of(waiting, start.looked_at) for waiting in start.waiting],
            "missing": list(start.missing),
            "spansWithoutParent": start.spans_without_parent,
            "notes": list(start.notes),
            "steps": list(map(step_of, start.steps)),
            "traceUrls": start.trace_urls(jaeger_url),
        }
    )


def _ready(ready: Ready) -> dict[str, Any]:
    return {
        "afterMs": None if ready.after_ms is None else round(ready.after_ms, 1),
        "source": ready.source or None,
        "note": ready.note or None,
        "steps": list(map(step_of, ready.steps)),
    }


def waiting_of(waiting: Waiting, now: datetime | None) -> dict[str, Any]:
    """An entry of ``waitingFor``."""
    seconds = waiting.seconds(now)
    return {
        "what": waiting.what,
        "since": moment(waiting.since) if waiting.since else None,
        "forSeconds": None if seconds is None else round(seconds),
        "stuck": waiting.stuck,
    }


def step_of(step: Step) -> dict[str, Any]:
    """An entry of ``steps``."""
    return {
        "name": step.name,
        "component": step.component,
        "node": step.node or None,
        "startMs": round(step.start_ms, 1),
        "durationMs": round(step.duration_ms, 1),
        "critical": step.critical,
        "share": round(step.share, 3),
        "unexplained": step.unexplained,
        "placed": step.placed,
        "depth": step.depth,
        "error": step.error or None,
    }
