"""The steps that a start waited for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ktrace.podstart.model import Step

_ROUNDING_MS = 0.0005
"""Half a microsecond: Jaeger's times are whole microseconds."""


def mark(steps: Sequence[Step]) -> list[Step]:
    """``steps`` with the critical ones marked.

    From the end of the start backwards, the start waited for the step that ended last, then for
    the one that ended last before that step began, and so on.
    """
    critical: set[int] = set()
    candidates = [
        index for index, step in enumerate(steps) if step.depth == 0 and step.duration_ms > 0
    ]
    time_ms = max((step.end_ms for step in steps if step.depth == 0), default=0.0)
    while earlier := [
        index
        for index in candidates
        if index not in critical and steps[index].start_ms < time_ms - _ROUNDING_MS
    ]:
        latest = max(
            earlier,
            key=lambda index: (min(steps[index].end_ms, time_ms), steps[index].duration_ms),
        )
        critical.add(latest)
        time_ms = steps[latest].start_ms
    return [replace(step, critical=index in critical) for index, step in enumerate(steps)]
