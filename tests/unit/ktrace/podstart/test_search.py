"""Where in Jaeger a pod's start is searched for, and how long it is waited for."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from ktrace.podstart import search
from ktrace.podstart.search import look_for_start, recent_pods, settled, wait_for_start
from tests.fakes import recorded
from tests.fakes.clock import Clock
from tests.fakes.jaeger import client, data, span, trace

SYNCED = 1_700_000_000_000_000
SECOND = 1_000_000
MINUTE = 60 * SECOND


def sync() -> dict[str, Any]:
    return trace(span("kubelet", "syncPod", SYNCED, **{"k8s.pod": "default/a"}))


def test_a_start_is_searched_for_around_its_first_sync() -> None:
    """An hour for what creates a pod and half an hour for its containers; else Jaeger reads all."""
    asked: list[tuple[str, str, int, int, int]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        query = request.url.params
        if "start" in query:
            times = (int(query["start"]) - SYNCED, int(query["end"]) - SYNCED)
            asked.append(
                (query["service"], query.get("operation", ""), *times, int(query["limit"]))
            )
        return data(sync()) if query["service"] == "kubelet" else data()

    assert look_for_start(client(answer), "default", "a")
    kubelet, *requests = asked[-4:]
    assert kubelet == ("kubelet", "syncPod", -SECOND, 30 * MINUTE, 500)
    assert [(service, operation, *times) for service, operation, *times, _ in requests] == [
        ("apiserver", operation, -60 * MINUTE, 0)
        for operation in ("Create etcd3", "Create etcd3", "")
    ]


@pytest.mark.parametrize(("second_request", "chosen"), [(-2, -2), (0, 0), (1, -5)])
def test_the_request_of_a_start_is_the_newest_that_is_not_after_its_first_sync(
    second_request: int, chosen: int
) -> None:
    """A later one created the next pod of that name."""

    def created(second: int, trace_id: str) -> Any:
        key = {"key": "/pods/default/a"}
        return trace(
            span("apiserver", "Create etcd3", SYNCED + second * SECOND, **key), trace_id=trace_id
        )

    def answer(request: httpx.Request) -> httpx.Response:
        query = request.url.params
        if query["service"] == "kubelet":
            return data(sync())
        if query.get("operation") != "Create etcd3":
            return data()
        return data(created(-5, "t2"), created(second_request, "t3"))

    start = look_for_start(client(answer), "default", "a")
    assert start is not None
    begin = round(start.started_at.timestamp() * SECOND)
    assert (begin - SYNCED) / SECOND == chosen


def test_recent_pods_are_those_of_the_newest_200_traces() -> None:
    limits = []

    def answer(request: httpx.Request) -> httpx.Response:
        limits.append(request.url.params["limit"])
        return data(sync())

    assert recent_pods(client(answer)) == {"default/a"}
    assert limits == ["200"]


# --- the wait -------------------------------------------------------------------------------------


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock().drive(monkeypatch, search)


def test_what_is_the_same_twice_is_settled(clock: Clock) -> None:
    """A second apart: longer than the exporters' delay."""
    looks, begin = iter([0, 1, 2, 3, 3, 4]), clock.now
    assert settled(lambda: next(looks), lambda seen: seen > 1, 60) == 3
    assert clock.now - begin == 4


def test_what_never_comes_is_given_up_in_time(clock: Clock) -> None:
    begin = clock.now
    assert settled(lambda: None, lambda seen: seen is not None, 2.5) is None
    assert clock.now - begin == 2.5


@pytest.mark.parametrize("pod", ["echo-one", "no-image"])
def test_what_a_sync_has_done_is_not_waited_for_even_if_it_failed(pod: str, clock: Clock) -> None:
    begin = clock.now
    jaeger = recorded.replay(pod)
    start = wait_for_start(jaeger, "default", pod, 60)
    assert clock.now - begin == 1
    assert start == look_for_start(jaeger, "default", pod)
