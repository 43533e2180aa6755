"""Where in Jaeger a pod's start is searched for, and how long it is waited for."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import httpx
import pytest

from ktrace.jaeger import JaegerError, reader
from ktrace.podstart import cluster, pod_spans, search
from ktrace.podstart.search import look_for_start, recent_pods, settled, wait_for_start
from ktrace.view import waterfall
from ktrace.view.start import document
from tests.fakes import recorded, starts
from tests.fakes.clock import Clock
from tests.fakes.jaeger import URL, client, data, span, trace
from tests.fakes.starts import BEGIN, Api, pod, running, waiting
from tests.fakes.store import Store

SYNCED = 1_700_000_000_000_000
SECOND = 1_000_000
MINUTE = 60 * SECOND


def sync() -> dict[str, Any]:
    seen = {"k8s.pod": "default/a", "k8s.pod.update_type": "create"}
    return trace(span("kubelet", "syncPod", SYNCED, **seen))


def test_a_start_is_searched_for_without_a_bound() -> None:
    """From any time on: without a time Jaeger looks back two days only."""
    asked: list[tuple[str, int, int]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        query = request.url.params
        # The client adds the microsecond within which a span may begin.
        asked.append((query["service"], int(query["start"]), int(query["end"]) - 1))
        return data(sync()) if query["service"] == "kubelet" else data()

    assert look_for_start(client(answer), "default", "a")
    first, *kubelet = [times for service, *times in asked if service == "kubelet"]
    assert first[0] == 0
    assert first[1] > time.time() * SECOND
    assert kubelet[0] == [SYNCED - SECOND, SYNCED + 30 * MINUTE - SECOND]
    assert all(later[0] == earlier[1] + 1 for earlier, later in itertools.pairwise(kubelet))
    now = int(time.time() * SECOND)
    assert now < kubelet[-1][1] <= now + 2 * MINUTE
    requests = [times for service, *times in asked if service == "apiserver"]
    assert len(requests) == 4, "the key with two prefixes, the binding, ephemeral containers"
    assert all(start in (0, SYNCED) and end > now for start, end in requests)


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
    return Clock().drive(monkeypatch, search, reader)


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


WITHOUT_THE_LAST = [
    *starts.call("CreateContainer", 80, container="main"),
    *starts.call("StartContainer", 90, container="main", traced=False),
]


def in_progress(reason: str) -> Api:
    return Api(pod({"main": waiting(reason, "why")}))


@pytest.mark.parametrize(
    ("api", "calls", "options", "seconds"),
    [
        (in_progress("ErrImagePull"), [], {}, 1),
        (in_progress("ContainerCreating"), [], {}, 60),
        (in_progress("ContainerCreating"), [], {"in_progress": True}, 1),
        (Api(pod({"main": running(90)})), [], {}, 60),
        (Api(pod({"main": running(90)})), WITHOUT_THE_LAST, {}, 60),
        (Api(pod({"main": running(90)})), starts.started("main", 80), {}, 1),
        (Api(pod({"main": running(90)})), starts.started("", 80, traced=False), {}, 1),
    ],
    ids=[
        "stuck",
        "in progress",
        "in progress is an answer",
        "its spans are on their way",
        "the runtime's last spans are on their way",
        "whole",
        "whole, and its runtime is not traced",
    ],
)
def test_a_start_is_waited_for_while_it_goes_on_or_its_spans_arrive(
    *,
    api: Api,
    calls: list[dict[str, Any]],
    options: dict[str, bool],
    seconds: float,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cluster, "connected", lambda _: nullcontext(api))
    clock.now = begin = BEGIN / 1e6 + 1
    jaeger = starts.jaeger(starts.created(), starts.sync(20, calls, update="create"))
    start = wait_for_start(jaeger, "default", "a", 60, Path("kubeconfig"), **options)
    assert start is not None
    assert clock.now - begin == seconds


def test_spans_of_an_old_start_are_not_waited_for(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = Api(pod({"main": running(90)}))
    monkeypatch.setattr(cluster, "connected", lambda _: nullcontext(api))
    clock.now = begin = BEGIN / 1e6 + 3600
    start = wait_for_start(starts.jaeger(), "default", "a", 60, Path("kubeconfig"))
    assert start is not None
    assert start.complete
    assert clock.now == begin


# --- what is read, and what fails -----------------------------------------------------------------


def long_running() -> Store:
    """A pod with a first sync two hours ago and one that checks it every six seconds."""
    checks = (starts.sync(1000 + number * 6000) for number in range(1200))
    first = starts.sync(20, starts.started("main", 80), update="create")
    return Store([starts.created(), first, *checks])


def test_polls_do_not_read_again_what_they_have(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second container's span never comes."""
    api = Api(pod({"main": running(90), "side": running(7_150_000)}))
    monkeypatch.setattr(cluster, "connected", lambda _: nullcontext(api))
    clock.now = BEGIN / 1e6 + 7200
    store = long_running()
    jaeger = client(store.answer)
    assert wait_for_start(jaeger, "default", "a", 0, Path("kubeconfig"))
    once = store.sent
    store.sent = 0
    start = wait_for_start(jaeger, "default", "a", 30, Path("kubeconfig"))
    assert start is not None
    assert start.lacks_spans
    assert store.sent < 6 * once


def test_a_limit_that_was_hit_is_a_note(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pod_spans, "_MOST_TRACES", 200)
    clock.now = BEGIN / 1e6 + 7200
    start = look_for_start(client(long_running().answer), "default", "a")
    assert start is not None
    (note,) = [note for note in start.notes if note.startswith("only the newest")]
    assert note.endswith("of the kubelet's traces of this pod were read")
    assert note in document(start, URL)["notes"]
    assert note in waterfall.summary(start)


def failing_looks(clock: Clock, *seconds: int) -> Callable[[httpx.Request], httpx.Response]:
    begin, answer = clock.now, recorded.handler("echo-one")

    def answered(request: httpx.Request) -> httpx.Response:
        if clock.now - begin in seconds:
            return httpx.Response(500, json={"errors": [{"msg": "no storage"}]})
        return answer(request)

    return answered


def test_one_look_that_fails_ends_nothing(clock: Clock) -> None:
    begin = clock.now
    assert wait_for_start(client(failing_looks(clock, 1, 2)), "default", "echo-one", 60)
    assert clock.now - begin == 4, "twice the same after the failure"


@pytest.mark.parametrize("seconds", [[0], range(1, 11)])
def test_a_jaeger_that_never_answered_or_answers_no_more_is_an_error(
    clock: Clock, seconds: list[int]
) -> None:
    begin = clock.now
    with pytest.raises(JaegerError, match="no storage"):
        wait_for_start(client(failing_looks(clock, *seconds)), "default", "echo-one", 10)
    assert clock.now - begin == (0 if 0 in seconds else 10)
