"""Lays the steps of a start one after another: each begins where the one before it has ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ktrace.components import KUBELET
from ktrace.podstart import gaps
from ktrace.podstart.model import Step, with_details

_ROUNDING_MS = 0.0005
"""Half a microsecond: Jaeger's times are whole microseconds."""


def laid(steps: Sequence[Step], begin_ms: float, end_ms: float, node: str = "") -> list[Step]:
    """``steps``, in the order of cause and effect, from ``begin_ms`` to ``end_ms``.

    A step that would begin before the end of the one that it follows begins there, and is
    ``placed``. Time that no step covers becomes a step of ``node``, as far as it is worth one.
    """
    found: list[Step] = []
    covered = begin_ms
    for step, *details in with_details(steps):
        start, until = _between(step, covered, end_ms)
        found += _hole(covered, start, end_ms, node)
        found.append(_moved(step, start, until))
        found += [_moved(detail, *_between(detail, start, until)) for detail in details]
        covered = max(covered, until)
    return found + _hole(covered, end_ms, end_ms, node)


def _between(step: Step, begin_ms: float, end_ms: float) -> tuple[float, float]:
    """The start and the end of ``step``, in milliseconds, moved between these two."""
    start = min(max(step.start_ms, begin_ms), end_ms)
    return start, min(max(step.end_ms, start), end_ms)


def _moved(step: Step, start_ms: float, end_ms: float) -> Step:
    change_ms = max(abs(step.start_ms - start_ms), abs(step.end_ms - end_ms))
    if not change_ms:
        return step
    placed = step.placed or change_ms > _ROUNDING_MS
    return replace(step, start_ms=start_ms, duration_ms=end_ms - start_ms, placed=placed)


def _hole(begin_ms: float, end_ms: float, length_ms: float, node: str) -> list[Step]:
    if not gaps.is_shown(end_ms - begin_ms, length_ms):
        return []
    return [
        Step(gaps.NOT_TRACED, KUBELET, begin_ms, end_ms - begin_ms, unexplained=True, node=node)
    ]
