"""Reads more traces than one answer of Jaeger's holds."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ktrace.jaeger.model import Trace

PAGE = 500
"""Traces in one answer: at most some 15 MB. Jaeger's memory store refuses a limit above its own
number of traces, which is at least 1,000 in a stack."""
_MOST_PAGES = 400
"""For 20,000 traces it takes 160. A trace with matching spans in all periods is in many pages."""


def newest(
    page: Callable[[int, int], Sequence[Trace]], start: int, end: int, most: int
) -> tuple[list[Trace], bool]:
    """All traces of a period and True, or about the newest ``most`` of them and False.

    ``page`` returns at most ``PAGE`` traces with a matching span that begins in a period. Jaeger's
    API has no way to continue an answer, and no order that every store keeps: so a period with more
    traces than fit is divided. Continuing before the oldest trace of an answer would miss some: a
    trace that began earlier can match by a later span.
    """
    found: dict[str, Trace] = {}
    periods = [(start, end)]
    pages = 0
    while periods:
        start, end = periods.pop()
        traces = page(start, end)
        pages += 1
        if len(traces) >= PAGE and start < end and pages < _MOST_PAGES:
            middle = _middle(traces, start, end)
            periods += [(start, middle - 1), (middle, end)]
            continue
        found |= {trace.id: trace for trace in traces}
        if len(traces) >= PAGE or (periods and (len(found) >= most or pages >= _MOST_PAGES)):
            return list(found.values()), False
    return list(found.values()), True


def _middle(traces: Sequence[Trace], start: int, end: int) -> int:
    """Where half of the spans of ``traces`` begin later; after ``start``, and not after ``end``.

    Half of the period itself could be empty: it may begin years before the first trace.
    """
    begins = sorted(
        span.start for trace in traces for span in trace.spans if start < span.start <= end
    )
    return begins[len(begins) // 2] if begins else (start + end + 1) // 2
