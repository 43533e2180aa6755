"""A start that goes on, up to the moment at which it was observed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ktrace.components import KUBELET, SCHEDULER
from ktrace.podstart import critical_path, gaps
from ktrace.podstart.model import PodStart, Step, Waiting


def until_observed(start: PodStart) -> PodStart:
    """``start`` with its last step, which has not ended, and the marks of what made its length.

    As it is, if it does not go on, or if its beginning or the moment is not known: then how long
    it has taken so far is not known either. Two looks at a start that goes on differ in this step
    alone, so it is not a part of what ``build`` returns.
    """
    so_far_ms = _so_far_ms(start)
    if so_far_ms is None:
        return start
    steps = (*start.steps, *_since_the_last_step(start, so_far_ms))
    return critical_path.marked(replace(start, duration_ms=so_far_ms, so_far=True, steps=steps))


def _so_far_ms(start: PodStart) -> float | None:
    if not (start.goes_on and start.beginning_known and start.looked_at):
        return None
    so_far_ms = (start.looked_at - start.started_at).total_seconds() * 1000
    # Less than what is known already: this machine's clock is behind the cluster's.
    return so_far_ms if so_far_ms >= start.duration_ms else None


def _since_the_last_step(start: PodStart, so_far_ms: float) -> list[Step]:
    """What the start waits for, from its beginning if that is known; it is not traced before."""
    begin_ms = start.duration_ms
    component, node = (KUBELET, start.node) if start.node else (SCHEDULER, "")
    first = _longest(start.waiting)
    since_ms = so_far_ms
    if first and first.since:
        since_ms = (first.since - start.started_at).total_seconds() * 1000
        since_ms = min(max(since_ms, begin_ms), so_far_ms)
    steps = []
    if gaps.is_shown(since_ms - begin_ms, so_far_ms):
        unknown_ms = since_ms - begin_ms
        steps.append(
            Step(gaps.NOT_TRACED, component, begin_ms, unknown_ms, unexplained=True, node=node)
        )
        begin_ms = since_ms
    if first and first.since and begin_ms < so_far_ms:
        steps.append(Step(first.what, component, begin_ms, so_far_ms - begin_ms, node=node))
    return steps


def _longest(waiting: Sequence[Waiting]) -> Waiting | None:
    """The one that is known to have begun first."""
    known = [found for found in waiting if found.since]
    return min(known, key=lambda found: found.since or 0, default=None)
