"""The few steps that made the length of a start, with the share of each."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import replace

from ktrace.podstart.model import PodStart, Step

_ROUNDING_MS = 0.0005
"""Half a microsecond: Jaeger's times are whole microseconds."""
_MOST = 5
_ENOUGH = 0.9
"""Of the start: what is left after that is not worth a mark."""
_SMALLEST = 0.05
"""Of the start, for a mark."""


def marked(start: PodStart) -> PodStart:
    """``start`` with the marks of its steps: none, if its length is not known well enough."""
    if not start.measured:
        return start
    return replace(start, steps=tuple(mark(start.steps, start.duration_ms)))


def mark(steps: Sequence[Step], length_ms: float) -> list[Step]:
    """``steps`` with their shares of a start of ``length_ms``, and the few that made it marked.

    From the end of the start backwards, the start waited for the step that ended last, then for
    the one that ended last before that step began, and so on. Of a step with details it waited for
    these in the same way, and for the step itself in the time that no detail covers.
    """
    top = [index for index, step in enumerate(steps) if step.depth == 0]
    waited: dict[int, float] = {}
    for index, begin, end in _path(steps, top, 0.0, length_ms):
        details = _path(steps, _details(steps, index), begin, end)
        for detail, detail_begin, detail_end in details:
            waited[detail] = detail_end - detail_begin
        waited[index] = end - begin - sum(until - since for _, since, until in details)
    shares = {index: time / length_ms for index, time in waited.items()} if length_ms > 0 else {}
    chosen = _longest(shares)
    return [
        _marked(step, critical=index in chosen, share=max(0.0, shares.get(index, 0.0)))
        for index, step in enumerate(steps)
    ]


def _marked(step: Step, *, critical: bool, share: float) -> Step:
    if (step.critical, step.share) == (critical, share):
        return step
    return replace(step, critical=critical, share=share)


def _path(
    steps: Sequence[Step], candidates: Sequence[int], begin: float, end: float
) -> list[tuple[int, float, float]]:
    """The candidates that were waited for between ``begin`` and ``end``, each with its part.

    Of those that go on until ``time`` it is the longest, of the others the one that ends last.
    """
    found = []
    ending = [
        (-steps[index].end_ms, -steps[index].duration_ms, index)
        for index in candidates
        if steps[index].duration_ms > 0
    ]
    heapq.heapify(ending)
    going_on: list[tuple[float, int]] = []
    time = end
    while time > begin:
        while ending and -ending[0][0] >= time:
            _, negative_duration, index = heapq.heappop(ending)
            heapq.heappush(going_on, (negative_duration, index))
        if going_on:
            latest = heapq.heappop(going_on)[1]
        elif ending:
            latest = heapq.heappop(ending)[2]
        else:
            break
        step = steps[latest]
        if step.start_ms >= time - _ROUNDING_MS:
            continue
        since, until = max(begin, step.start_ms), min(step.end_ms, time)
        if until > since:
            found.append((latest, since, until))
        time = step.start_ms
    return found


def _details(steps: Sequence[Step], index: int) -> list[int]:
    """The details of the step at ``index`` follow it."""
    found = []
    for number in range(index + 1, len(steps)):
        if steps[number].depth == 0:
            break
        found.append(number)
    return found


def _longest(shares: dict[int, float]) -> set[int]:
    chosen: set[int] = set()
    told = 0.0
    for index in sorted(shares, key=lambda index: -shares[index]):
        if chosen and (told >= _ENOUGH or len(chosen) >= _MOST or shares[index] < _SMALLEST):
            break
        chosen.add(index)
        told += shares[index]
    return chosen
