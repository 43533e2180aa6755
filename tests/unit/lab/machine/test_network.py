"""What the network has is found out once in ten minutes."""

from __future__ import annotations

import pytest

from lab.machine import network
from lab.paths import Cache
from tests.fakes.clock import Clock


@pytest.mark.parametrize(
    ("passed", "asked_again"),
    [(0, False), (599, False), (600, True), (-1, True)],
    ids=["at once", "before ten minutes", "after ten minutes", "clock set back"],
)
@pytest.mark.parametrize("first", [True, False])
def test_an_answer_is_used_for_ten_minutes(
    cache: Cache, monkeypatch: pytest.MonkeyPatch, first: bool, passed: float, asked_again: bool
) -> None:
    clock = Clock().drive(monkeypatch, network)
    assert network.remembered("a", lambda: first, cache) is first
    clock.now += passed
    again = network.remembered("a", lambda: not first, cache)
    assert again is (not first if asked_again else first)


def test_every_question_has_its_own_answer(cache: Cache) -> None:
    assert network.remembered("a", lambda: True, cache) is True
    assert network.remembered("b", lambda: False, cache) is False
    assert network.remembered("a", lambda: False, cache) is True
    assert network.remembered("b", lambda: True, cache) is False


def test_answers_that_cannot_be_read_are_found_out_again(cache: Cache) -> None:
    network.remembered("a", lambda: True, cache)
    (cache.root / "reachable.json").write_text("{")
    assert network.remembered("a", lambda: False, cache) is False
