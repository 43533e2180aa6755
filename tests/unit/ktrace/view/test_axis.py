"""The ticks of a page's time axis."""

from __future__ import annotations

import re

import pytest

from ktrace.view import axis


@pytest.mark.parametrize(
    ("total_ms", "labels"),
    [
        (0, []),
        (0.4, ["0", "0.1 ms", "0.2 ms", "0.3 ms"]),
        (5, ["0", "1 ms", "2 ms", "3 ms", "4 ms"]),
        (90, ["0", "20 ms", "40 ms", "60 ms"]),
        (250, ["0", "50 ms", "100 ms", "150 ms", "200 ms"]),
        (4_320, ["0", "1 s", "2 s", "3 s"]),
        (90_000, ["0", "20 s", "40 s", "60 s"]),
        (587_000, ["0", "2 min", "4 min", "6 min", "8 min"]),
        (7_200_000, ["0", "30 min", "60 min", "90 min"]),
        (400_000_000, ["0", "50 h"]),
    ],
)
def test_a_tick_is_a_time_that_a_person_reads(total_ms: float, labels: list[str]) -> None:
    shown = axis.ticks(total_ms)
    assert re.findall(r">([^<>]+)</span>", shown) == (labels or ["when"])
    assert "nan" not in shown + axis.grid(total_ms)
