"""Which starts a watch tells, and when."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import httpx
import pytest

from ktrace.jaeger import JaegerError, reader
from ktrace.podstart import search, watch
from ktrace.podstart.cluster import NO_CLUSTER
from ktrace.podstart.pod_spans import FIRST_SYNC
from ktrace.podstart.watch import Watch
from ktrace.view import watched
from tests.fakes import recorded
from tests.fakes.clock import Clock
from tests.fakes.jaeger import client, data
from tests.schemas import validate

URL = "http://jaeger.example"
POD = "echo-one"
START = search.look_for_start(recorded.replay(POD), "default", POD)
assert START is not None
BEGAN = START.started_at.timestamp()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(BEGAN + 5).drive(monkeypatch, watch, search, reader)


def answering(
    arrived: Callable[[], bool] = lambda: True, without: str = ""
) -> Callable[..., httpx.Response]:
    """The recorded Jaeger, which also finds the pod by its first sync alone."""
    answers = recorded.handler(POD, without)
    tags = json.dumps({"k8s.pod": f"default/{POD}", **FIRST_SYNC})

    def answer(request: httpx.Request) -> httpx.Response:
        if not arrived():
            return data()
        if request.url.params.get("tags") == json.dumps(FIRST_SYNC):
            request = httpx.Request("GET", request.url.copy_set_param("tags", tags))
        return answers(request)

    return answer


def watching(
    answer: Callable[..., httpx.Response], since: float = BEGAN - 1, **options: bool
) -> Watch:
    return Watch(client(answer), NO_CLUSTER, since, **options)


def test_a_start_is_told_once_when_nothing_more_of_it_arrives(clock: Clock) -> None:
    found = watching(answering())
    assert found.look() == []
    clock.now += 2
    (start,) = found.look()
    assert start.steps == START.steps if START else ()
    for _ in range(3):
        clock.now += 2
        assert found.look() == []
    line = watched.line(start)
    assert f"  default/{POD}  " in line
    assert "slowest: " in line
    assert "whether more were wanted is not known" in line
    told = watched.document(start, URL)
    validate("watch", told)
    assert told["toTheSecond"] is start.to_the_second


def test_starts_are_in_the_order_of_their_ends() -> None:
    assert START
    ends = watch._end(START)
    assert ends == pytest.approx(BEGAN + START.duration_ms / 1000)
    quick = replace(START, duration_ms=START.duration_ms - 100)
    assert watch._end(quick) == pytest.approx(ends - 0.1)


def test_what_began_before_is_not_told(clock: Clock) -> None:
    found = watching(answering(), since=BEGAN + 1)
    for _ in range(4):
        assert found.look() == []
        clock.now += 2


def test_spans_that_come_late_are_waited_for(clock: Clock) -> None:
    here = False
    found = watching(answering(lambda: here))
    assert found.look() == []
    here = True
    clock.now += 60
    assert found.look() == []
    clock.now += 2
    assert len(found.look()) == 1


def test_a_start_without_its_runtimes_spans_is_not_whole(clock: Clock) -> None:
    found = watching(answering(without="containerd"), runtime_traced=True)
    for _ in range(5):
        assert found.look() == []
        clock.now += 2


def test_after_an_hour_it_is_given_up(clock: Clock) -> None:
    here = False
    found = watching(answering(lambda: here))
    here = True
    found.look()
    here = False
    clock.now += 3601
    found.look()
    here = True
    for _ in range(3):
        clock.now += 2
        assert found.look() == []


def test_a_jaeger_that_fails_is_told_to_the_caller_and_costs_nothing(clock: Clock) -> None:
    fails = True
    answers = answering()

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(500) if fails else answers(request)

    found = watching(answer)
    with pytest.raises(JaegerError):
        found.look()
    fails = False
    found.look()
    clock.now += 2
    assert len(found.look()) == 1
