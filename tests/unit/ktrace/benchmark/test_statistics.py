"""Percentiles and comparisons: known answers, and how often they are wrong."""

from __future__ import annotations

import random
import statistics as standard
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ktrace.benchmark.samples import WHOLE
from ktrace.benchmark.statistics import compare
from ktrace.percentiles import percentile

times = st.lists(st.floats(0, 1e6, allow_nan=False), min_size=1, max_size=40)


@given(times)
def test_the_median_is_the_median(values: Sequence[float]) -> None:
    assert percentile(values, 0.5) == pytest.approx(standard.median(values))


@given(st.lists(st.floats(0, 1e6), min_size=100, max_size=130))
def test_a_percentile_is_among_the_values_and_they_are_in_order(values: list[float]) -> None:
    found = [percentile(values, part) for part in (0.5, 0.9, 0.99)]
    known = [value for value in found if value is not None]
    assert len(known) == 3
    assert min(values) <= known[0] <= known[1] <= known[2] <= max(values)


@pytest.mark.parametrize(("number", "p90", "p99"), [(9, 0, 0), (10, 1, 0), (99, 1, 0), (100, 1, 1)])
def test_few_values_have_no_high_percentile(number: int, p90: int, p99: int) -> None:
    values = [float(value) for value in range(number)]
    assert (percentile(values, 0.9) is not None) is bool(p90)
    assert (percentile(values, 0.99) is not None) is bool(p99)


@given(times, times)
def test_a_comparison_turned_round_has_the_signs_turned_round(
    one: list[float], other: list[float]
) -> None:
    shift = compare({WHOLE: one}, {WHOLE: other})[WHOLE]
    back = compare({WHOLE: other}, {WHOLE: one})[WHOLE]
    assert shift.low <= shift.high
    assert (shift.before, shift.after) == (back.after, back.before)
    assert not (shift.low > 0 and back.low > 0), "each slower than the other"


def start(draw: random.Random, slowed: float = 0) -> float:
    """Milliseconds, skewed as starts are: a floor, and now and then a second more."""
    usual = 700 + draw.gammavariate(2, 60)
    return usual + slowed + (draw.random() < 0.05) * 1000


def measured(draw: random.Random, number: int, slowed: float = 0) -> dict[str, list[float]]:
    """A measurement with steps, of which one is slowed."""
    webhook = [draw.gammavariate(2, 3) + slowed for _ in range(number)]
    others = {f"step {n}": [draw.gammavariate(2, 10) for _ in range(number)] for n in range(20)}
    whole = [start(draw) + took for took in webhook]
    return {WHOLE: whole, "webhook": webhook, **others}


@pytest.mark.parametrize("number", [15, 30])
def test_where_nothing_differs_at_most_one_comparison_in_fifty_says_so(number: int) -> None:
    draw = random.Random(7)  # noqa: S311  not for secrets
    wrong = 0
    for _ in range(50):
        shifts = compare(measured(draw, number), measured(draw, number))
        wrong += any(shift.shown for shift in shifts.values())
    assert wrong <= 1


@pytest.mark.parametrize("number", [7, 15, 30])
def test_a_step_that_is_slowed_is_found_each_time(number: int) -> None:
    draw = random.Random(7)  # noqa: S311  not for secrets
    for _ in range(20):
        shifts = compare(measured(draw, number), measured(draw, number, slowed=300))
        shown = {name for name, shift in shifts.items() if shift.shown}
        assert "webhook" in shown
        assert not any(name.startswith("step") for name in shown)
        assert shifts[WHOLE].after > shifts[WHOLE].before


def test_what_is_less_than_a_twentieth_of_the_start_is_not_told() -> None:
    steady = {WHOLE: [1000.0] * 30, "step": [10.0] * 30}
    more = {WHOLE: [1040.0] * 30, "step": [50.0] * 30}
    assert not any(shift.shown for shift in compare(steady, more).values())
    enough = {WHOLE: [1050.0] * 30, "step": [60.0] * 30}
    assert all(shift.shown for shift in compare(steady, enough).values())


def test_a_step_that_only_one_has_took_the_other_no_time() -> None:
    shift = compare({WHOLE: [100.0] * 9}, {WHOLE: [300.0] * 9, "webhook": [200.0] * 9})["webhook"]
    assert (shift.before, shift.after, shift.shown) == (0, 200, True)
