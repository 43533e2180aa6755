"""Whether a Jaeger that keeps its traces in memory has dropped the oldest ones for newer ones."""

from __future__ import annotations

from ktrace.jaeger.client import Jaeger
from ktrace.jaeger.store import MEMORY

_SECOND = 1_000_000
_ARRIVAL = 10 * _SECOND
"""Longer than an exporter's delay (5 s by default)."""
FIRST = 60 * _SECOND
"""Within that of its start a Jaeger is sent spans: the cluster's, or those that waited for it."""
_LEAST = 900
"""The least jaegerMaxTraces is 1000: with fewer traces nothing was dropped. A look at a memory that
turns meanwhile misses some."""
WHY = "Jaeger keeps the newest jaegerMaxTraces traces, and has none that is older"
CURE = "Raise jaegerMaxTraces"


def may_lack(jaeger: Jaeger, since: int, now: int, began: int | None = None) -> bool:
    """Whether traces of the period from ``since`` to ``now`` may have been dropped.

    Times are in microseconds since the Unix epoch; ``began`` is when Jaeger did, None where that is
    not known. Raises JaegerError.
    """
    if jaeger.store != MEMORY:
        return False
    first = 0 if began is None else began + FIRST
    return not _reaches(jaeger, max(since, first) - _ARRIVAL) and _is_large(jaeger, since, now)


def _reaches(jaeger: Jaeger, before: int) -> bool:
    """Whether a trace is there that arrived earlier: the memory drops the oldest first."""
    return any(
        span.end < before
        for service in jaeger.services()
        for trace in jaeger.find(service, start=0, end=before)
        for span in trace.spans
    )


def _is_large(jaeger: Jaeger, since: int, now: int) -> bool:
    """Whether as many traces are there as the smallest memory holds."""
    ids: set[str] = set()
    for service in jaeger.services():
        found, _ = jaeger.find_all(service, start=since, end=now, most=_LEAST)
        ids.update(trace.id for trace in found)
        if len(ids) >= _LEAST:
            return True
    return False
