"""Why a pod does not go on and since when: no cause that is over, no time that is another one's."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from ktrace.podstart import cluster, search
from ktrace.podstart.in_progress import until_observed
from ktrace.podstart.model import PodStart
from ktrace.podstart.search import look_for_start
from ktrace.view import waterfall
from runtime_observability.host.api_server import ApiError
from tests.fakes.clock import Clock
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
    request,
    running,
    second,
    started,
    sync,
    waiting,
)

SANDBOX = "Failed to create pod sandbox: no runtime for sandbox "
REFUSED = "Readiness probe failed: dial tcp 10.0.0.1:80: connect: connection refused"
PROBES: dict[str, Document] = {
    "main": {"startupProbe": {"exec": {}}, "readinessProbe": {"exec": {}}},
}


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A minute and a half after the beginning."""
    return Clock(BEGIN / 1e6 + 90).drive(monkeypatch, search)


def shown(*traces: Any, pod: Document, events: tuple[Document, ...] = ()) -> PodStart:
    known = cluster.read(Api(pod, *events), "default", "a")
    found = look_for_start(jaeger(*traces), "default", "a", known=known)
    assert found
    return until_observed(found)


def now(start: PodStart) -> list[str]:
    lines = waterfall.summary(start)
    return [line.removeprefix("now: ") for line in lines if line.startswith("now: ")]


def test_each_new_sandbox_that_fails_is_an_event_of_the_same_wait() -> None:
    """Seen on a real cluster: "no sandbox, for 24 s" after more than two minutes."""
    ids = [f"{number:064x}" for number in range(3)]
    events = tuple(
        event("FailedCreatePodSandBox", SANDBOX + made, 1000 + 30_000 * number)
        for number, made in enumerate(ids)
    )
    document = pod({"main": waiting()})
    assert now(shown(created(0), bound(8), pod=document, events=events)) == [
        f"no sandbox: no runtime for sandbox {ids[2][:12]}, for 1 min 29 s"
    ]
    other = (event("FailedCreatePodSandBox", SANDBOX.replace("runtime", "address"), 500), *events)
    (told,) = now(shown(created(0), bound(8), pod=document, events=other))
    assert told.endswith("for 1 min 29 s"), "another cause began before"


def not_ready(since: float, **status: Any) -> Document:
    found = pod({"main": running(90, **status)}, specs=PROBES, not_ready="unready: [main]")
    found["status"]["conditions"][-1]["lastTransitionTime"] = second(since)
    return found


def of_first_start() -> tuple[Any, ...]:
    calls = call("RunPodSandbox", 30, 40), started("main", 80)
    return created(0), bound(8), sync(20, *calls, update="create")


def test_a_pod_that_was_ready_is_not_ready_since_it_lost_that() -> None:
    failed = event("Unhealthy", REFUSED, 2000, 85_000, "main", count=7)
    start = shown(*of_first_start(), pod=not_ready(80_000), events=(failed,))
    assert now(start) == [f"not Ready: main: {REFUSED} (7 times), for 10 s"]


OVER = {
    "a probe that succeeded before": (
        event("Unhealthy", REFUSED, 2000, 4000, "main"),
        not_ready(80_000),
    ),
    "a liveness probe": (
        event("Unhealthy", "Liveness probe failed: 500", 82_000, 85_000, "main"),
        not_ready(80_000),
    ),
    "a start-up probe that has succeeded": (
        event("Unhealthy", "Startup probe failed: 500", 81_000, 85_000, "main"),
        not_ready(80_000),
    ),
    "a readiness probe that comes after the start-up probe": (
        event("Unhealthy", REFUSED, 81_000, 85_000, "main"),
        not_ready(80_000, started=False),
    ),
    "a container that is ready": (
        event("Unhealthy", REFUSED, 81_000, 85_000, "main"),
        not_ready(80_000, ready=True),
    ),
}


@pytest.mark.parametrize(("failed", "document"), OVER.values(), ids=OVER)
def test_a_probe_that_nothing_waits_for_is_no_reason(failed: Document, document: Document) -> None:
    start = shown(*of_first_start(), pod=document, events=(failed,))
    assert now(start) == ["not Ready: unready: [main], for 10 s"]


def test_an_init_container_that_crashes_waits_since_it_ended() -> None:
    """Seen on a real cluster: the longest step of a start was the "not traced" of a back-off."""
    ended = {"reason": "Error", "exitCode": 3, "startedAt": second(0), "finishedAt": second(4000)}
    document = pod(
        {"main": waiting("PodInitializing")},
        {"first": {"state": {"terminated": ended}, "restartCount": 2}},
    )
    start = shown(created(0), bound(8), pod=document)
    assert now(start) == ["first: Error, exit code 3, for 1 min 26 s"]
    last = start.steps[-1]
    assert (last.name, last.start_ms, last.end_ms) == ("first: Error, exit code 3", 4000, 90_000)


def test_a_pod_that_was_made_for_a_node_was_never_scheduled() -> None:
    """Seen on a real cluster: "scheduling" was 99 % of a start that the kubelet had refused."""
    refused = event("NodeAffinity", "Predicate NodeAffinity failed", 1000)
    document = pod({"main": {}}, phase="Failed", reason="NodeAffinity", startTime=None)
    start = shown(created(0), pod=document, events=(refused,))
    assert [(step.name, step.unexplained) for step in start.steps] == [
        ("create request", False),
        ("not traced", True),
    ]


def changed(operation: str, start: float) -> Document:
    url = "/api/v1/namespaces/default/pods/a"
    return request(operation, start, 8, code=200, url=url)


def test_a_pod_that_was_changed_before_it_was_bound_may_have_lost_a_gate() -> None:
    """Seen on a real cluster: 5 s behind a scheduling gate were "queue and decision"."""
    ran = sync(5100, call("RunPodSandbox", 5110, 40), started("main", 5160), update="create")
    document = pod({"main": running(5200)})
    for operation in ("Patch", "Update"):
        gate = changed(operation, 5000)
        start = shown(created(0), gate, bound(5020), ran, pod=document)
        assert [(step.name, step.start_ms, step.end_ms) for step in start.steps[1:3]] == [
            ("scheduling, or a scheduling gate until the pod was changed", 5, 5007),
            ("scheduling (queue and decision)", 5007, 5020),
        ]
    others = changed("Get", 5000), changed("Patch", 6000)
    start = shown(created(0), *others, bound(5020), ran, pod=document)
    assert start.steps[1].name == "scheduling (queue and decision)"
    assert start.steps[1].end_ms == 5020


def test_a_pull_that_the_kubelet_wants_may_not_have_begun() -> None:
    """Seen on a real cluster: "pulling" was told for 27 s of a pull that another one held."""
    wanted = event("Pulling", 'Pulling image "main:1"', 70_000, container="main")
    start = shown(created(0), bound(8), pod=pod({"main": waiting()}), events=(wanted,))
    assert now(start) == ["waiting for the pull of main:1, for 20 s"]


class WithoutNode(Api):
    """Its node has gone, or never was."""

    def get(self, path: str) -> Document:
        if "/nodes/" in path:
            raise ApiError(httpx.Response(404, json={"message": "not found"}))
        return super().get(path)


def test_a_node_that_does_not_exist_is_not_waited_for() -> None:
    """Seen on a real cluster: "waiting for the kubelet of ghost-node"."""
    api = WithoutNode(pod({"main": {}}, node="ghost", startTime=None))
    known = cluster.read(api, "default", "a")
    found = look_for_start(jaeger(created(0)), "default", "a", known=known)
    assert found
    assert now(until_observed(found)) == ["node ghost is not Ready: there is no node of that name"]
    assert found.waiting[0].stuck
