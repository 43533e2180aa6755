"""What is remembered of the network, and for how long."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from lab.machine import network
from lab.paths import Cache


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time of day in seconds, as the only item."""
    now = [1e9]
    monkeypatch.setattr(time, "time", lambda: now[0])
    return now


def answering(*answers: bool) -> Callable[[], bool]:
    """A question that has these answers; a further one fails the test."""
    return iter(answers).__next__


def test_a_no_decides_only_when_it_is_given_twice(cache: Cache, clock: list[float]) -> None:
    assert network.remembered("slow", answering(False, True), cache)
    assert not network.remembered("none", answering(False, False), cache)
    assert network.remembered("quick", answering(True), cache)


def test_a_yes_is_remembered_ten_minutes_and_a_no_for_one(cache: Cache, clock: list[float]) -> None:
    network.remembered("yes", answering(True), cache)
    network.remembered("no", answering(False, False), cache)
    clock[0] += 59
    assert network.remembered("yes", answering(), cache)
    assert not network.remembered("no", answering(), cache)
    clock[0] += 2
    assert network.remembered("yes", answering(), cache)
    assert network.remembered("no", answering(True), cache)
    clock[0] += 540
    assert not network.remembered("yes", answering(False, False), cache)


def test_a_clock_that_was_set_back_makes_an_answer_old(cache: Cache, clock: list[float]) -> None:
    network.remembered("yes", answering(True), cache)
    clock[0] -= 1
    assert not network.remembered("yes", answering(False, False), cache)


def test_every_question_has_its_own_answer(cache: Cache, clock: list[float]) -> None:
    network.remembered("a", answering(True), cache)
    network.remembered("b", answering(False, False), cache)
    assert network.remembered("a", answering(), cache)
    assert not network.remembered("b", answering(), cache)


def test_answers_that_cannot_be_read_are_found_out_again(cache: Cache) -> None:
    network.remembered("a", answering(True), cache)
    (cache.root / "reachable.json").write_text("{")
    assert not network.remembered("a", answering(False, False), cache)
