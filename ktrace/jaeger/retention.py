"""Whether a Jaeger's store has deleted traces because of their age."""

from __future__ import annotations

from datetime import datetime

from ktrace.jaeger.client import Jaeger

_SECOND = 1_000_000
_HOUR = 3600 * _SECOND
CURE = "Raise traceRetention"


def complete_from(jaeger: Jaeger, now: int) -> int:
    """From when on nothing is deleted; 0: nothing ever is, or it is not known.

    Times here are in microseconds since the Unix epoch.
    """
    return 0 if jaeger.store.kept is None else now - jaeger.store.kept * _HOUR


def may_lack(jaeger: Jaeger, since: int, now: int, cluster: datetime | None) -> bool:
    """Whether something that began after ``since`` may be deleted.

    Nothing is older than its ``cluster``; None where that was made at a time that is not known.
    """
    made = round(cluster.timestamp() * _SECOND) if cluster else 0
    return max(since, made) < complete_from(jaeger, now)


def why(jaeger: Jaeger) -> str:
    """Why it lacks what began before ``complete_from``."""
    return f"Jaeger keeps traces for {jaeger.store.kept} h"
