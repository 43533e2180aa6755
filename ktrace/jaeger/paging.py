"""Reads more traces than one answer of Jaeger's holds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from ktrace.jaeger.model import Trace, merged
from ktrace.jaeger.store import Store

PAGE = 500
"""Traces in one answer: at most some 15 MB. Jaeger's memory store refuses a limit above its own
number of traces, which is at least 1,000 in a stack."""
MOST_PAGES = 400
"""For 20,000 traces it takes 60 to 140. A trace with matching spans in all periods is in many."""
_AIM = 0.8
"""How full the next answer is to be: one that is full is read in vain."""
_GROWTH = 4
_DAY = 24 * 3600 * 1_000_000

Period = tuple[int, int]
"""From when to when, both included, in microseconds since the Unix epoch."""


@dataclass(frozen=True)
class Page:
    """One answer: ``traces`` are those of it that belong to the search."""

    traces: Sequence[Trace]
    size: int
    """How many traces it has, with those of no search."""
    full: bool
    """Whether they are as many as were asked for."""
    begins: Sequence[int] = ()
    """When the spans of a full answer began."""


def periods(store: Store, start: int, end: int) -> list[Period]:
    """What to search one after another in place of ``start`` to ``end``, the newest first."""
    if end < start:
        return []
    if store.look_back is not None:
        start = max(start, end - store.look_back * _DAY)
    if store.days is None:
        return [(start, end)]
    ends = range(end, start - 1, -store.days * _DAY)
    return [(max(start, until - store.days * _DAY + 1), until) for until in ends]


def newest(
    page: Callable[[int, int], Page],
    periods: Iterable[Period],
    most: int,
    most_pages: int = MOST_PAGES,
) -> tuple[list[Trace], bool]:
    """All traces of ``periods`` and True, or about the newest ``most`` of them and False.

    ``page`` returns traces with a matching span that begins in a period. Jaeger's API has no way to
    continue an answer, and no order that every store keeps: so a period with more traces than fit
    is read in shorter ones, each as long as the last answer shows that it may be, and after an
    empty one all that is left. Continuing before the oldest trace of an answer would miss some: a
    trace that began earlier can match by a later span.
    """
    found: dict[str, Trace] = {}
    waiting = list(periods)[::-1]
    pages = 0
    length: int | None = None
    while waiting:
        start, end = waiting.pop()
        begin = start if length is None else max(start, end - length + 1)
        answer = page(begin, end)
        pages += 1
        if answer.full and begin < end and pages < most_pages:
            length = end - _middle(answer.begins, begin, end) + 1
            waiting.append((start, end))
            continue
        add(found, answer.traces)
        if begin > start:
            waiting.append((start, begin - 1))
        if answer.full or (waiting and (len(found) >= most or pages >= most_pages)):
            return list(found.values()), False
        if length is not None:
            growth = min(_GROWTH, _AIM * PAGE / answer.size) if answer.size else None
            length = max(1, int(length * growth)) if growth else None
    return list(found.values()), True


def add(found: dict[str, Trace], traces: Iterable[Trace]) -> None:
    """Adds ``traces`` to those in ``found``, by id.

    A store may cut a trace to the period of the search, so one that is in both keeps its spans.
    """
    for trace in traces:
        known = found.get(trace.id)
        found[trace.id] = merged(known, trace) if known else trace


def _middle(begins: Sequence[int], start: int, end: int) -> int:
    """Where half of ``begins`` are later; after ``start``, and not after ``end``.

    Half of the period itself could be empty: it may begin years before the first trace.
    """
    inside = sorted(begin for begin in begins if start < begin <= end)
    return inside[len(inside) // 2] if inside else (start + end + 1) // 2
