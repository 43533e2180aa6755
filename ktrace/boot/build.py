"""Puts the moments of a boot in order, and marks the waits that made its length."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import timedelta

from ktrace.boot.model import READY, Boot, Line, Mark, NodeStart

_MOST = 5
_SMALLEST = 0.05
"""Of the length, for a mark."""
_SECOND = timedelta(seconds=1)


def build(
    cluster: str,
    nodes: Sequence[NodeStart],
    marks: Iterable[Mark],
    *,
    ready: bool | None,
    missing: Sequence[str] = (),
    notes: Sequence[str] = (),
) -> Boot:
    """Left out are marks of before a restart, as they are of another boot."""
    of_boot = [node for node in nodes if node.in_boot]
    begin = min((node.started for node in of_boot if node.again), default=None)
    own = [mark for mark in marks if begin is None or mark.at + _resolution(mark) >= begin]
    lines = _lines(_ordered(own))
    ends = [line.after_ms for line in lines if line.mark.what == READY]
    whole = bool(ready) and len(ends) == len(of_boot) > 0
    return Boot(
        cluster,
        tuple(nodes),
        tuple(lines),
        ready,
        max(ends) if whole else None,
        tuple(missing),
        tuple(notes),
    )


def _resolution(mark: Mark) -> timedelta:
    return _SECOND if mark.to_the_second else timedelta(0)


def _ordered(marks: Iterable[Mark]) -> list[Mark]:
    """By time. What is known to the second is placed at the beginning of that."""
    return sorted(marks, key=lambda mark: (mark.at, mark.node, mark.what))


def _lines(marks: Sequence[Mark]) -> list[Line]:
    if not marks:
        return []
    first = marks[0].at
    earlier = [marks[0], *marks]
    lines = [
        Line(mark, _ms(mark.at - first), _ms(mark.at - before.at))
        for before, mark in zip(earlier, marks, strict=False)
    ]
    length_ms = lines[-1].after_ms
    longest = sorted((line.waited_ms for line in lines), reverse=True)[:_MOST]
    least = max(longest[-1], length_ms * _SMALLEST)
    return [replace(line, critical=0 < least <= line.waited_ms) for line in lines]


def _ms(time: timedelta) -> float:
    return time.total_seconds() * 1000


def pairs(boot: Boot) -> list[tuple[Line, Line]]:
    """Each critical line with the one before it, the longest wait first."""
    found = [(before, line) for before, line in itertools.pairwise(boot.lines) if line.critical]
    return sorted(found, key=lambda pair: -pair[1].waited_ms)
