"""What is remembered of the network, and for how long."""

from __future__ import annotations

import json
import threading
import time

import pytest

from lab.errors import LabError
from lab.machine import network
from lab.machine.network import Look
from lab.paths import Cache
from runtime_observability.host.downloads import DownloadError

pytestmark = pytest.mark.usefixtures("no_waiting")

YES, NO = "", "HTTP 404"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time of day in seconds, as the only item."""
    now = [1e9]
    monkeypatch.setattr(time, "time", lambda: now[0])
    return now


def answering(*answers: str) -> Look:
    """A question that has these answers; a further one fails the test."""
    coming = iter(answers)
    return lambda _: next(coming)


def ask(name: str, look: Look, cache: Cache) -> str:
    return network.why_not_there({name: look}, cache)[name]


def test_a_no_decides_only_when_it_is_given_twice(cache: Cache, clock: list[float]) -> None:
    assert ask("slow", answering(NO, YES), cache) == YES
    assert ask("none", answering("HTTP 503", NO), cache) == NO
    assert ask("quick", answering(YES), cache) == YES


def test_the_second_look_has_more_patience(cache: Cache) -> None:
    patience: list[float] = []

    def look(seconds: float) -> str:
        patience.append(seconds)
        return NO

    ask("slow", look, cache)
    assert patience == [5, 15]


def test_a_yes_is_remembered_ten_minutes_and_a_no_for_one(cache: Cache, clock: list[float]) -> None:
    ask("yes", answering(YES), cache)
    ask("no", answering(NO, NO), cache)
    clock[0] += 59
    assert ask("yes", answering(), cache) == YES
    assert ask("no", answering(), cache) == NO
    clock[0] += 2
    assert ask("yes", answering(), cache) == YES
    assert ask("no", answering(YES), cache) == YES
    clock[0] += 540
    assert ask("yes", answering(NO, NO), cache) == NO


def test_a_clock_that_was_set_back_makes_an_answer_old(cache: Cache, clock: list[float]) -> None:
    ask("yes", answering(YES), cache)
    clock[0] -= 1
    assert ask("yes", answering(NO, NO), cache) == NO


def test_every_question_has_its_own_answer(cache: Cache, clock: list[float]) -> None:
    ask("a", answering(YES), cache)
    ask("b", answering(NO, NO), cache)
    assert ask("a", answering(), cache) == YES
    assert ask("b", answering(), cache) == NO
    looks = {"a": answering(), "b": answering(), "c": answering(YES)}
    assert network.why_not_there(looks, cache) == {"a": YES, "b": NO, "c": YES}
    assert network.why_not_there({}, cache) == {}


@pytest.mark.parametrize(
    "stored", ["{", "[]", '{"a": true}', json.dumps({"a": [True, 1e9]}), '{"a": ["", "x"]}']
)
def test_answers_that_cannot_be_read_are_found_out_again(
    cache: Cache, clock: list[float], stored: str
) -> None:
    cache.root.mkdir()
    (cache.root / "reachable.json").write_text(stored)
    assert ask("a", answering(NO, NO), cache) == NO


def test_all_are_looked_for_at_the_same_time(cache: Cache) -> None:
    meeting = threading.Barrier(3, timeout=20)

    def look(_: float) -> str:
        meeting.wait()
        return YES

    assert network.why_not_there(dict.fromkeys("abc", look), cache) == dict.fromkeys("abc", YES)


def test_a_look_that_never_ends_is_a_no(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "LIMIT_SECONDS", 0.01)
    never = threading.Event()
    waiting: list[threading.Thread] = []

    def look(_: float) -> str:
        waiting.append(threading.current_thread())
        never.wait()
        return YES

    assert ask("silent", look, cache) == "no answer within 0 s"
    never.set()
    assert [thread.daemon for thread in waiting] == [True], "the end of the program does not wait"


def test_settings_that_cannot_be_used_are_no_answer(cache: Cache) -> None:
    def look(_: float) -> str:
        raise DownloadError("SSL_CERT_FILE=x cannot be read")

    with pytest.raises(LabError, match="SSL_CERT_FILE=x cannot be read"):
        ask("a", look, cache)
    assert ask("a", answering(YES), cache) == YES
