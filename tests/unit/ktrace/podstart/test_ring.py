"""A start of which Jaeger's memory store, which holds the newest traces, no longer has all."""

from __future__ import annotations

from typing import Any

import pytest

from ktrace.podstart import cluster, search
from ktrace.podstart.model import PodStart
from ktrace.podstart.search import look_for_start
from ktrace.view import page, waterfall
from ktrace.view.start import document
from tests.fakes.clock import Clock
from tests.fakes.jaeger import URL
from tests.fakes.starts import (
    BEGIN,
    Api,
    Document,
    bound,
    call,
    created,
    event,
    jaeger,
    pod,
    running,
    second,
    started,
    sync,
    waiting,
)

HOUR = 3600 * 1000
LATER = 2 * HOUR
"""Milliseconds after the pod's creation, at which the kubelet began."""
START = (
    created(0),
    bound(LATER - 12),
    sync(LATER, call("RunPodSandbox", LATER + 10), started("first", LATER + 30), update="create"),
    sync(LATER + HOUR, call("PullImage", LATER + HOUR + 10)),
    sync(LATER + HOUR + 60_000, started("main", LATER + HOUR + 60_010)),
)
END = LATER + HOUR + 60_030
WHOLE = pod({"main": running(END)}, {"first": running(LATER + 50)}, startTime=second(LATER))


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Four days after the creation: twice as far as Jaeger looks back by itself."""
    return Clock(BEGIN / 1e6 + 96 * 3600).drive(monkeypatch, search)


def shown(newest: int, pod: Document | None = None, *events: Document, **more: Any) -> PodStart:
    known = cluster.read(Api(pod, *events), "default", "a") if pod else None
    traces = more.get("traces", START)
    start = look_for_start(jaeger(*traces, newest=newest), "default", "a", known=known)
    assert start is not None
    return start


@pytest.mark.parametrize("known", [None, WHOLE])
def test_a_start_of_days_ago_is_found_and_nothing_of_it_is_lost(known: Document | None) -> None:
    start = shown(5, known)
    assert (start.duration_ms, start.started, start.beginning_lost) == (END, 2, False)
    assert not any("no longer" in note for note in start.notes)


@pytest.mark.parametrize("newest", [4, 3, 2, 1, 0])
def test_with_the_pod_object_a_start_is_as_long_as_it_was(newest: int) -> None:
    start = shown(newest, WHOLE)
    assert start.complete
    assert start.duration_ms == pytest.approx(END, abs=1000)
    assert start.beginning_lost
    assert "are those of the pod object, to the second" in start.notes[0]
    assert start.notes[0].startswith("Jaeger no longer has the beginning")
    assert document(start, URL)["beginningLost"] is True
    assert start.steps[0].start_ms == 0, "nothing is left out"


@pytest.mark.parametrize("newest", [2, 1])
def test_without_the_pod_object_no_length_is_told(newest: int) -> None:
    start = shown(newest)
    assert start.beginning_lost
    assert waterfall.title(start) == (
        "pod default/a: 1 container start seen; how long the start took is not known: Jaeger no "
        "longer has its beginning"
    )
    assert document(start, URL)["complete"] is False
    shown_page = page.render(start, URL)
    assert "What is left of the start of pod a" in shown_page
    assert "<dd>not known</dd>" in shown_page


def test_a_kubelet_that_was_restarted_did_not_begin_the_start() -> None:
    """It sees every pod as a new one."""
    restarted = sync(END + HOUR, started("main", END + HOUR + 10, attempt=1), update="create")
    start = shown(2, traces=(*START, restarted))
    assert start.beginning_lost
    assert start.uid
    assert shown(6, traces=(*START, restarted)).duration_ms == END


def test_the_scheduler_is_named_for_the_time_before_the_oldest_span() -> None:
    refused = event("FailedScheduling", "0/1 nodes are available", 0, LATER - 1000)
    start = shown(4, WHOLE, refused)
    assert start.steps[0].name == "unschedulable: 0/1 nodes are available"
    assert start.steps[0].duration_ms == pytest.approx(LATER, abs=1000)


def test_an_event_fills_no_more_than_its_own_time_where_no_span_is_left() -> None:
    """Seen on a real cluster: "waits (FailedMount), 45 s" of a mount that failed for 4 s, while the
    init container after it ran for 40 s."""
    failed = event("FailedMount", 'configmap "later" not found', 1000, 4000)
    start = shown(0, WHOLE, failed)
    steps = [(step.name, step.duration_ms) for step in start.steps]
    assert steps[:2] == [
        ("not traced", 1000),
        ('waits (FailedMount): configmap "later" not found', 3000),
    ]
    assert [name for name, _ in steps[2:]] == ["not traced"]
    assert start.duration_ms == pytest.approx(END, abs=1000)


def test_a_container_has_started_that_an_event_tells_of() -> None:
    """The kubelet reports no status of a container while its postStart handler runs."""
    begun = event("Started", "Container started", 300, 300, container="main")
    hook = {"lifecycle": {"postStart": {"exec": {"command": ["sleep", "9"]}}}}
    document = pod({"main": waiting(), "after": waiting()}, specs={"main": hook})
    start = shown(0, document, begun)
    assert [(found.name, found.started) for found in start.containers] == [
        ("main", True),
        ("after", False),
    ]
    assert start.waiting[0].what == "postStart of main has not been seen to end"


def test_a_first_sync_that_is_an_update_begins_the_start() -> None:
    """The kubelet has one of a pod that was changed before its worker began."""
    traces = (
        created(0),
        bound(10),
        sync(20, call("RunPodSandbox", 30), started("main", 60), update="update"),
    )
    document = pod({"main": running(80)}, startTime=second(20))
    start = shown(3, document, traces=traces)
    assert not start.beginning_lost
    assert start.duration_ms == 80


def test_the_second_sync_is_not_taken_for_the_first() -> None:
    """Of a static pod it may begin within a second of the first, and no other source is exact."""
    mirror = {"kubernetes.io/config.mirror": "a" * 32}
    document = pod({"main": running(900)}, annotations=mirror, startTime=second(0), ready=900)
    start = shown(1, document, traces=(sync(1200, uid="a" * 32),))
    assert (start.complete, start.beginning_lost, start.length_known) == (True, True, False)
    assert not start.ready.note


def test_without_the_request_a_length_is_not_that_of_the_whole_start() -> None:
    """Seen: 1.67 s without its spans and the pod object, of a start that took 4.38 s."""
    calls = (call("RunPodSandbox", LATER + 10), started("first", LATER + 30))
    left = sync(LATER, *calls, update="create")
    start = shown(1, traces=(left,))
    assert waterfall.title(start) == (
        "pod default/a: 1 container started 50 ms after its first span; whether more were wanted "
        "is not known"
    )
    assert document(start, URL)["beginningKnown"] is False
    known = pod({"first": running(50)}, startTime=second(0))
    at_once = sync(20, call("RunPodSandbox", 30), started("first", 50), update="create")
    assert shown(1, known, traces=(at_once,)).to_the_second


def test_a_sync_that_has_lost_its_first_calls_is_no_whole_start() -> None:
    """The memory drops a trace, and keeps what arrives of it after that."""
    cut = sync(0, started("main", 60_000), update="create", end=60_100)
    start = shown(1, traces=(cut,))
    assert start.beginning_lost
    assert "1 container start seen; how long the start took is not known" in waterfall.title(start)
    again = (call("RunPodSandbox", 10), started("main", 40, attempt=1))
    assert shown(1, traces=(sync(0, *again, update="create"),)).beginning_lost
