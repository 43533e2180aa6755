"""How long a build still takes."""

from __future__ import annotations

import pytest

from lab.build.estimate import Estimate, in_words
from tests.fakes.clock import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_at_first_it_is_what_the_parts_are_expected_to_take(clock: Clock) -> None:
    estimate = Estimate({"pulumi": 4, "jaeger": 6}, clock.monotonic)
    assert estimate.minutes_left() == 10
    estimate.begins("pulumi")
    clock.sleep(30)
    assert estimate.minutes_left() == 9.5


def test_then_it_is_scaled_by_what_the_finished_parts_have_taken(clock: Clock) -> None:
    estimate = Estimate({"pulumi": 4, "jaeger": 6}, clock.monotonic)
    estimate.begins("pulumi")
    clock.sleep(8 * 60)
    estimate.ends("pulumi")
    assert estimate.finished == 1
    assert estimate.minutes_left() == 12


def test_a_part_that_is_late_makes_the_rest_longer_and_never_nothing(clock: Clock) -> None:
    estimate = Estimate({"pulumi": 4}, clock.monotonic)
    estimate.begins("pulumi")
    clock.sleep(4 * 60)
    assert estimate.minutes_left() == pytest.approx(1)
    clock.sleep(16 * 60)
    assert estimate.minutes_left() == pytest.approx(5), "a quarter of what it has taken"


def test_parts_that_are_built_side_by_side_share_the_machine(clock: Clock) -> None:
    estimate = Estimate({"pulumi": 4, "jaeger": 4}, clock.monotonic)
    estimate.begins("pulumi")
    estimate.begins("jaeger")
    clock.sleep(4 * 60)
    assert estimate.minutes_left() == pytest.approx(4)


@pytest.mark.parametrize(
    ("minutes", "words"),
    [(12.4, "about 12 min left"), (1, "about 1 min left"), (0.4, "less than a minute left")],
)
def test_it_is_told_in_minutes(minutes: float, words: str) -> None:
    assert in_words(minutes) == words
