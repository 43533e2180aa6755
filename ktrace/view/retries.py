"""Leaves out most tries of what was tried many times. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from ktrace.brief import invariant
from ktrace.podstart.model import Step, with_details

_MANY = 6
"""Steps of one name from which on most are left out."""
_FIRST = 2
"""How many of them are shown, besides the last one and those that made the length."""


def fold(steps: Sequence[Step]) -> Iterator[Step | int]:
    """``steps``, with a number in the place of those that are left out.

    A step goes with its details, and with the gap between it and another that is left out. JSON and
    the page have all of them.
    """
    left_out: list[Step] = []
    for step, folds in zip(steps, _folds(steps), strict=True):
        if folds:
            left_out.append(step)
            continue
        yield from _told(left_out)
        left_out = []
        yield step
    yield from _told(left_out)


def _told(left_out: Sequence[Step]) -> Sequence[Step | int]:
    """A number takes as many lines as a single step."""
    return [len(left_out)] if len(left_out) > 1 else left_out


def _folds(steps: Sequence[Step]) -> list[bool]:
    """Whether each of ``steps`` is left out."""
    groups = list(with_details(steps))
    total = Counter(map(_name, groups))
    seen: Counter[str] = Counter()
    hidden: list[bool] = []
    for group in groups:
        name = _name(group)
        seen[name] += 1
        many = bool(name) and total[name] >= _MANY and _FIRST < seen[name] < total[name]
        hidden.append(many and not any(step.critical for step in group))
    for at in range(1, len(groups) - 1):
        between = hidden[at - 1] and hidden[at + 1]
        hidden[at] |= between and not _name(groups[at]) and not groups[at][0].critical
    return [out for out, group in zip(hidden, groups, strict=True) for _ in group]


def _name(group: Sequence[Step]) -> str:
    """What the tries of one thing have in common; a gap of which nothing is known is none."""
    step = group[0]
    return "" if step.unexplained else f"{step.component} {invariant(step.name)}"
