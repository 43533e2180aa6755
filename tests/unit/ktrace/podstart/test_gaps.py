"""When the time that no span covers is a step of its own; test_kinds.py has what it is called."""

from __future__ import annotations

import pytest

from ktrace.podstart import gaps


@pytest.mark.parametrize(
    ("start_ms", "shortest_ms"),
    [(0, 5), (500, 5), (600, 6), (2_000, 20), (10_000, 100), (60_000, 100)],
)
def test_a_gap_is_shown_from_a_hundredth_of_the_start_on_and_always_from_100_ms_on(
    start_ms: float, shortest_ms: float
) -> None:
    assert gaps.is_shown(shortest_ms, start_ms)
    assert not gaps.is_shown(shortest_ms - 0.001, start_ms)
