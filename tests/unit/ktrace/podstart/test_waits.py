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
    ended,
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


@pytest.mark.parametrize(
    ("restarts", "told"), [(0, ""), (1, ", restarted 1 time"), (3, ", restarted 3 times")]
)
def test_a_container_that_ended_with_0_is_why_the_pod_is_not_ready(
    restarts: int, told: str
) -> None:
    """As `command: ["true"]` is, between its end and its next start: it has not crashed."""
    status = {**ended(100), "restartCount": restarts}
    document = pod({"main": status}, not_ready="containers with unready status: [main]")
    (line,) = now(shown(created(0), bound(8), sync(10, started("main", 80)), pod=document))
    assert line == f"not Ready: main: Completed, exit code 0{told}"


def test_restarts_are_told_once() -> None:
    """They were, in what is waited for, and again in a note."""
    crashing = {**waiting("CrashLoopBackOff"), "lastState": ended(80)["state"], "restartCount": 2}
    document = pod(
        {"main": crashing, "ain": running(90, restartCount=2)},
        not_ready="containers with unready status: [main]",
    )
    calls = [*started("main", 80), *started("ain", 85)]
    start = shown(created(0), bound(8), sync(10, calls), pod=document)
    assert [line for line in waterfall.summary(start) if "restarted" in line] == [
        "now: not Ready: main: CrashLoopBackOff, restarted 2 times; it last ended with Completed, "
        "exit code 0",
        "ain has been restarted 2 times",
    ]


def test_of_two_containers_the_one_that_ended_with_0_is_named() -> None:
    document = pod(
        {"main": running(90, ready=True), "once": ended(100)},
        not_ready="containers with unready status: [once]",
        spec={"restartPolicy": "Never"},
    )
    calls = [*started("main", 80), *started("once", 100)]
    (line,) = now(shown(created(0), bound(8), sync(10, calls), pod=document))
    assert line == "not Ready: once: Completed, exit code 0"


def not_ready(since: float, at: float = 90, **status: Any) -> Document:
    """Of a container that was started ``at``."""
    found = pod({"main": running(at, **status)}, specs=PROBES, not_ready="unready: [main]")
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
    "a probe of the container before it was restarted": (
        event("Unhealthy", REFUSED, 81_000, 84_000, "main", count=3),
        not_ready(80_000, at=86_000),
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
    assert now(start) == ["first: Error, exit code 3, restarted 2 times, for 1 min 26 s"]
    last = start.steps[-1]
    name = "first: Error, exit code 3, restarted 2 times"
    assert (last.name, last.start_ms, last.end_ms) == (name, 4000, 90_000)


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


def unbound(reason: str, message: str, **spec: Any) -> Document:
    scheduled = {
        "type": "PodScheduled",
        "status": "False",
        "reason": reason,
        "message": message,
        "lastTransitionTime": second(0),
    }
    return pod(
        {"main": {}}, node="", conditions=[scheduled], spec=spec, phase="Pending", startTime=None
    )


BLOCKED = "SchedulingGated", "Scheduling is blocked due to non-empty scheduling gates"
GATED_UNTIL = "scheduling, or a scheduling gate until the pod was changed"


@pytest.mark.parametrize(
    ("changes", "since"), [((30_000,), ", for 1 min 0 s"), ((20_000, 30_000), ""), ((), "")]
)
def test_the_wait_for_the_scheduler_begins_when_the_gate_was_opened(
    changes: tuple[float, ...], since: str
) -> None:
    """The condition of the gates stays. Of several changes it is not known which opened one."""
    requests = [changed("Patch", at) for at in changes]
    start = shown(created(0), *requests, pod=unbound(*BLOCKED, schedulerName="none"))
    assert now(start) == [f"waiting for scheduler none, its scheduling gates are gone{since}"]
    named = [step.name for step in start.steps]
    assert (GATED_UNTIL in named) == bool(changes)
    assert not any(step.name.startswith("waiting") for step in start.steps if not since)


def test_a_pod_that_had_gates_is_unschedulable_since_the_scheduler_tried() -> None:
    """Its condition has the time of its creation: it was not scheduled before, for its gates."""
    document = unbound("Unschedulable", "0/1 nodes are available.")
    refused = event("FailedScheduling", "0/1 nodes are available.", 30_000)
    gate = changed("Patch", 30_000)
    start = shown(created(0), gate, pod=document, events=(refused,))
    assert now(start) == ["unschedulable: 0/1 nodes are available, for 1 min 0 s"]
    assert [step.name for step in start.steps][1] == GATED_UNTIL
    assert now(shown(created(0), gate, pod=document)) == ["unschedulable: 0/1 nodes are available."]
    early = event("FailedScheduling", "0/1 nodes are available.", 0, 40_000)
    start = shown(created(0), gate, pod=document, events=(early,))
    assert now(start) == ["unschedulable: 0/1 nodes are available, for 1 min 30 s"]
    assert GATED_UNTIL not in [step.name for step in start.steps]


class WithClaims(Api):
    """An API server that serves ResourceClaims, and has some; None as a version: it serves none."""

    def __init__(
        self, pod: Document, *events: Document, version: str | None = "v1", **claims: Document
    ) -> None:
        super().__init__(pod, *events)
        self._version, self._claims = version, claims

    def get(self, path: str) -> Document:
        if path == "/apis/resource.k8s.io" and self._version:
            return {"preferredVersion": {"version": self._version}}
        of_claims = f"/apis/resource.k8s.io/{self._version}/namespaces/default/resourceclaims/"
        if path.startswith(of_claims) and (found := self._claims.get(path.removeprefix(of_claims))):
            return found
        if path.startswith("/apis/"):
            raise ApiError(httpx.Response(404, json={"message": "not found"}))
        return super().get(path)


def needing(*claims: Document, **options: Any) -> Document:
    return pod(
        {"main": {}}, node="", spec={"resourceClaims": list(claims)}, phase="Pending", **options
    )


def waits_of(api: Api) -> list[str]:
    known = cluster.read(api, "default", "a")
    found = look_for_start(jaeger(created(0)), "default", "a", known=known)
    assert found
    return now(found)


GPU = {"name": "gpu", "resourceClaimName": "one"}
MADE = {"name": "gpu", "resourceClaimTemplateName": "many"}
WAITS = "waiting for the scheduler"
ALLOCATED: Document = {"status": {"allocation": {"devices": {}}}}


@pytest.mark.parametrize("claim", [GPU, {"name": "gpu", "source": {"resourceClaimName": "one"}}])
def test_a_resource_claim_that_does_not_exist_is_named(claim: Document) -> None:
    assert waits_of(WithClaims(needing(claim))) == ["resource claim one does not exist"]
    assert waits_of(WithClaims(needing(claim), version=None)) == [
        f"{WAITS}; it needs resource claim one, which was not read, for 1 min 30 s"
    ]
    assert waits_of(WithClaims(needing(claim), one={"status": {}})) == [
        f"{WAITS}; resource claim one is not allocated, for 1 min 30 s"
    ]
    assert waits_of(WithClaims(needing(claim), one=ALLOCATED)) == [f"{WAITS}, for 1 min 30 s"]


def test_a_resource_claim_that_is_made_for_the_pod_may_not_be_there_yet() -> None:
    assert waits_of(WithClaims(needing(MADE))) == [
        f"{WAITS}; the pod has no resource claim of template many yet, for 1 min 30 s"
    ]
    failed = event("FailedResourceClaimCreation", 'PodResourceClaim gpu: "many" not found', 60_000)
    assert waits_of(WithClaims(needing(MADE), failed)) == [
        'no resource claim: PodResourceClaim gpu: "many" not found, for 30 s'
    ]
    status = [{"name": "gpu", "resourceClaimName": "a-gpu-x"}]
    document = needing(MADE, resourceClaimStatuses=status)
    assert waits_of(WithClaims(document)) == ["resource claim a-gpu-x does not exist"]
    unneeded = needing(MADE, resourceClaimStatuses=[{"name": "gpu"}])
    assert waits_of(WithClaims(unneeded)) == [f"{WAITS}, for 1 min 30 s"]


def test_what_the_scheduler_says_of_a_resource_claim_is_told_once() -> None:
    document = needing(GPU)
    told = 'resourceclaim "one" not found'
    refused = event("FailedScheduling", told, 30_000)
    assert waits_of(WithClaims(document, refused)) == [f"unschedulable: {told}, for 1 min 0 s"]
    other = event("FailedScheduling", "0/1 nodes are available", 30_000)
    assert waits_of(WithClaims(document, other)) == [
        "unschedulable: 0/1 nodes are available, for 1 min 0 s",
        "resource claim one does not exist",
    ]


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
