"""What is left of recorded traces once Jaeger's memory has dropped the oldest ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

Trace = dict[str, Any]
_LOOKS = 6
"""At the traces, while the memory drops them."""


def _end(span: dict[str, Any]) -> int:
    return int(span["startTime"] + span["duration"])


def _arrival(trace: Trace) -> int:
    return min(map(_end, trace["spans"]))


def dropped(traces: Sequence[Trace]) -> Iterator[tuple[Trace, ...]]:
    """Without the oldest ones, and with the spans of these that came after they were dropped."""
    ordered = sorted(traces, key=_arrival)
    for number in range(1, len(ordered) + 1, max(1, len(ordered) // _LOOKS)):
        gone, left = ordered[:number], ordered[number:]
        yield tuple(left)
        if left:
            since = _arrival(left[0])
            late = [
                {**trace, "spans": [span for span in trace["spans"] if _end(span) >= since]}
                for trace in gone
            ]
            if late := [trace for trace in late if trace["spans"]]:
                yield (*late, *left)
    yield ()
