"""Whether Jaeger still has all that expectations are about, and what follows if not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from ktrace.expect.schema import Expectation
from ktrace.expect.verdict import Verdict
from ktrace.jaeger import Jaeger, retention, ring
from runtime_observability.host.memory_loss import Memory

_SECOND = 1_000_000

ReadMemory = Callable[[], Memory | None]


@dataclass(frozen=True)
class Gone:
    """Spans that began before ``before``, in microseconds since the Unix epoch, may be gone."""

    before: int
    why: str


def find(jaeger: Jaeger, memory: Memory | None, since: int, now: int) -> Gone | None:
    """Of the period from ``since`` to ``now``; None where it is not gone. Raises JaegerError.

    Times are in microseconds since the Unix epoch. Of a Jaeger that is not a stack's nothing is
    known.
    """
    began_at, until = (datetime.fromtimestamp(at / _SECOND, UTC) for at in (since, now))
    if memory and (why := memory.why_lacking_any(began_at)):
        certainty = "are lost" if memory.loss else "may be gone"
        complete = memory.complete_from(began_at, until)
        return Gone(round(complete.timestamp() * _SECOND), f"{certainty}: {why}")
    if retention.may_lack(jaeger, since, now, memory.cluster if memory else None):
        told = f"may be gone: {retention.why(jaeger)}. {retention.CURE}"
        return Gone(retention.complete_from(jaeger, now), told)
    made = memory.since if memory else None
    began = round(made.timestamp() * _SECOND) if made else None
    if not ring.may_lack(jaeger, since, now, began):
        return None
    return Gone(now, f"may be gone: {ring.WHY}. {ring.CURE}")


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
