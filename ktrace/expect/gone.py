"""Whether Jaeger's memory still has all that expectations are about, and what follows if not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from ktrace.expect.schema import Expectation
from ktrace.expect.verdict import Verdict
from ktrace.jaeger import Jaeger
from ktrace.jaeger.store import MEMORY
from runtime_observability.host.memory_loss import Memory

_SECOND = 1_000_000
_ARRIVAL = 10 * _SECOND
"""Longer than an exporter's delay (5 s by default)."""
_FIRST = 60 * _SECOND
"""Within that of its start a Jaeger is sent spans: the cluster's, or those that waited for it."""
_LEAST = 1_000
"""The least jaegerMaxTraces: with fewer traces nothing was dropped."""

ReadMemory = Callable[[], Memory | None]


@dataclass(frozen=True)
class Gone:
    """Spans that began before ``before``, in microseconds since the Unix epoch, may be gone."""

    before: int
    why: str


def find(jaeger: Jaeger, memory: Memory | None, since: int, now: int) -> Gone | None:
    """Of the period from ``since`` to ``now``; None where it is not gone. Raises JaegerError.

    Times are in microseconds since the Unix epoch. Of a Jaeger that is not a stack's, or keeps its
    traces elsewhere, nothing is known.
    """
    began_at, until = (datetime.fromtimestamp(at / _SECOND, UTC) for at in (since, now))
    if memory and (why := memory.why_lacking_any(began_at)):
        certainty = "are lost" if memory.loss else "may be gone"
        complete = memory.complete_from(began_at, until)
        return Gone(round(complete.timestamp() * _SECOND), f"{certainty}: {why}")
    if jaeger.store is not MEMORY:
        return None
    made = memory.since if memory else None
    began = round(made.timestamp() * _SECOND) + _FIRST if made else 0
    if _reaches(jaeger, max(since, began) - _ARRIVAL) or not _is_large(jaeger, since, now):
        return None
    return Gone(
        now,
        "may be gone: Jaeger keeps the newest jaegerMaxTraces traces, and has none that is older. "
        "Raise jaegerMaxTraces",
    )


def needs_all(expectation: Expectation, verdict: Verdict) -> bool:
    """Whether a span that is gone could make the verdict another one."""
    if verdict.ok or not verdict.judged:
        return expectation.expect.can_be_broken or expectation.expect.is_of_absence
    return verdict.lacks_since is not None


def qualified(expectation: Expectation, verdict: Verdict, gone: Gone, seconds: float) -> Verdict:
    """``verdict``, or that it is not known; ``seconds`` is how far back is judged."""
    if not needs_all(expectation, verdict):
        return verdict
    told = f"spans of the {seconds:g} s that are judged {gone.why}"
    if verdict.ok and not expectation.expect.is_of_absence:
        return replace(verdict, notes=(*verdict.notes, told))
    if verdict.lacks_since is not None and verdict.lacks_since >= gone.before:
        return verdict
    failure = f"not known: {told}. Repeat what is expected, or lower sinceSeconds"
    return replace(verdict, failures=(failure, *verdict.failures), judged=False)


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
