"""Which calls are a postStart handler's: an exec probe and a preStop handler are ExecSyncs, too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from ktrace.podstart import cluster, search
from ktrace.podstart.model import PodStart, Step
from ktrace.podstart.search import look_for_start
from ktrace.podstart.steps import REST_OF_SYNC
from tests.fakes.clock import Clock
from tests.fakes.starts import (
    BEGIN,
    Api,
    Document,
    bound,
    call,
    created,
    jaeger,
    patched,
    pod,
    running,
    started,
    sync,
)

REPORTED = "the kubelet reports that the pod is Ready"
FAILED = 'failed to "StartContainer" for "main" with PostStartHookError: "..."'
HANDLER = call("ExecSync", 101, 300, container="main")
PRE_STOP = call("ExecSync", 402, 400, container="main")
STOPPED = call("StopContainer", 803, 5000, container="main")


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(BEGIN / 1e6 + 90).drive(monkeypatch, search)


def shown(*calls: Any, pod: Document | None = None, **options: Any) -> PodStart:
    known = cluster.read(Api(pod), "default", "a") if pod else None
    traces = created(0), bound(8), sync(20, *calls, update="create", **options), patched(3200)
    found = look_for_start(jaeger(*traces), "default", "a", known=known)
    assert found
    return found


def ready_with(handler: Mapping[str, Any]) -> Document:
    return pod({"main": running(90)}, ready=3000, specs={"main": {"lifecycle": handler}})


def after(start: PodStart) -> list[tuple[str, float]]:
    return [(step.name, step.duration_ms) for step in start.ready.steps]


def handlers(start: PodStart) -> list[Step]:
    return [step for step in (*start.steps, *start.ready.steps) if "postStart" in step.name]


def test_the_last_containers_handler_is_known_without_the_pod_object() -> None:
    start = shown(started("main", 80), HANDLER)
    assert after(start) == [("postStart of main", 300)]
    assert start.duration_ms == 100, "a start ends with the last container's start"


def test_a_probe_is_none() -> None:
    probe = call("ExecSync", 1106, 300, container="main")
    assert after(shown(started("main", 80), probe, end=102)) == []
    other = started("side", 102)
    assert not handlers(shown(started("main", 80), other, call("ExecSync", 123, container="main")))
    late = started("main", 80), HANDLER, call("ExecSync", 410, container="main")
    (one,) = handlers(shown(*late))
    assert one.duration_ms == 300


def test_what_runs_before_a_container_is_stopped_is_its_pre_stop() -> None:
    """The handler that has failed was no command: it has no span."""
    calls = started("main", 80), PRE_STOP, STOPPED
    assert not handlers(shown(*calls, error=FAILED))
    by_request: dict[str, Any] = {"postStart": {"httpGet": {}}, "preStop": {"exec": {}}}
    assert not handlers(shown(*calls, error=FAILED, pod=ready_with(by_request)))


def test_of_two_that_run_before_a_stop_the_first_is_the_handler() -> None:
    calls = started("main", 80), HANDLER, PRE_STOP, STOPPED
    (one,) = handlers(shown(*calls, error=FAILED))
    assert one.duration_ms == 300


@pytest.mark.parametrize("kind", ["httpGet", "sleep", "tcpSocket"])
def test_a_handler_without_a_span_is_told_by_the_pod(kind: str) -> None:
    start = shown(started("main", 80), end=2100, pod=ready_with({"postStart": {kind: {}}}))
    assert after(start) == [(f"postStart of main ({kind})", 2000), (REPORTED, 1103)]
    assert start.ready.after_ms == 3203


def test_without_the_pod_the_rest_of_the_sync_is_not_called_a_handler() -> None:
    start = shown(started("main", 80), end=2100)
    (rest,) = start.ready.steps
    assert (rest.name, rest.duration_ms, rest.unexplained) == (REST_OF_SYNC, 2000, True)
    assert after(shown(started("main", 80), end=2100, error="failed")) == []
    assert after(shown(started("main", 80), end=101)) == [], "a sync has other work, too"


def test_without_a_handler_the_rest_of_the_sync_is_no_step() -> None:
    start = shown(started("main", 80), end=2100, pod=ready_with({}))
    assert after(start) == [(REPORTED, 3103)]
