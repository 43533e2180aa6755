"""What followed from a command: its pods, when they are quiet, and the report of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from ktrace.following import follower
from ktrace.following.followed_pod import FollowedPod
from ktrace.following.follower import Follower
from ktrace.following.owners import PodOwners
from ktrace.following.report import Report
from ktrace.jaeger import Jaeger, JaegerError, reader
from ktrace.podstart.pod import COMBINED
from ktrace.recording.object_reference import ObjectReference
from ktrace.recording.requests import RecordedRequest
from ktrace.view import terminal, tree
from tests.fakes.http import FakeServer, Reply, Request, write_kubeconfig
from tests.fakes.jaeger import URL, client, data, span, trace
from tests.fakes.store import Store

NEW = RecordedRequest(
    "POST", "/api/v1/namespaces/n/pods", 0, 1, 201, "id-1", ObjectReference("a", "u-new")
)
SCALED = RecordedRequest(
    "PATCH",
    "/apis/apps/v1/namespaces/n/deployments/d",
    0,
    1,
    200,
    "id-2",
    ObjectReference("d", "u-d"),
)


def pod(name: str, uid: str, phase: str = "Running", **more: Any) -> dict[str, Any]:
    """As the API server lists it; ``more``: ready, owner, and the rest of its metadata."""
    ready = more.pop("ready", phase == "Running")
    owner = more.pop("owner", None)
    references = [{"apiVersion": "v1", "kind": "Thing", "name": "t", "uid": owner}] if owner else []
    return {
        "metadata": {
            "namespace": "n",
            "name": name,
            "uid": uid,
            "ownerReferences": references,
            **more,
        },
        "status": {"phase": phase, "conditions": [{"type": "Ready", "status": str(ready)}]},
    }


@pytest.fixture
def owners(server: FakeServer, tmp_path: Path) -> Callable[..., PodOwners]:
    """``lists``: the pods that each refresh finds, the first of them done; the last list stays."""

    def make(
        *lists: list[dict[str, Any]], events: Any = (), of_pod: Any = (), refused: bool = False
    ) -> PodOwners:
        left = list(lists)

        def answer(request: Request) -> Reply:
            if request.path.startswith("/api/v1/namespaces/n/events?"):
                assert request.path.endswith("involvedObject.name%3Da")
                return Reply(403, {}) if refused else Reply(200, {"items": of_pod})
            if request.path == "/api/v1/events?fieldSelector=reason%3DFailedCreate":
                return Reply(200, {"items": events})
            if request.path != "/api/v1/pods":
                return Reply(404, {})
            return Reply(200, {"items": left.pop(0) if len(left) > 1 else left[0]})

        server.answer = answer
        write_kubeconfig(tmp_path / "config", server.url)
        made = PodOwners(tmp_path / "config")
        made.refresh()
        return made

    return make


class Clock(SimpleNamespace):
    """Time that passes only during a sleep and while Jaeger answers."""

    def __init__(self) -> None:
        super().__init__(now=0.0)

    def time(self) -> float:
        return float(self.now)

    def monotonic(self) -> float:
        return float(self.now)

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(follower, "time", made)
    return made


def jaeger_with(clock: Clock, *traces: dict[str, Any], seconds: float = 0.02) -> Jaeger:
    """Finds the traces that have a span of the service with all tags, ``seconds`` a search."""

    def answer(request: httpx.Request) -> httpx.Response:
        clock.sleep(seconds)
        query = dict(request.url.params)
        tags = json.loads(query.get("tags", "{}")).items()
        return data(
            *(
                trace
                for trace in traces
                if any(
                    span["processID"] == query["service"]
                    and query.get("operation", span["operationName"]) == span["operationName"]
                    and tags <= {tag["key"]: tag["value"] for tag in span["tags"]}.items()
                    for span in trace["spans"]
                )
            )
        )

    return client(answer)


def start_of(name: str, uid: str) -> dict[str, Any]:
    tags = {"k8s.pod": f"n/{name}", "k8s.pod.uid": uid, "k8s.pod.update_type": "create"}
    call = "runtime.v1.RuntimeService/StartContainer"
    return trace(
        span("kubelet", "syncPod", 1000, **tags),
        span("kubelet", "runtime.v1.RuntimeService/RunPodSandbox", 1002, "syncPod"),
        span("kubelet", call, 1005, "syncPod"),
        trace_id=uid,
    )


def follow(
    jaeger: Jaeger,
    owners: PodOwners,
    *requests: RecordedRequest,
    seconds: float = 30,
    since: float = 0,
) -> Report:
    follower = Follower(jaeger, owners, requests, since)
    follower.follow(seconds)
    return Report(("x",), 0, requests, follower.followed, URL)


def test_a_pod_that_waits_is_told_without_a_trace(
    owners: Callable[..., PodOwners], clock: Clock
) -> None:
    known = owners([], [pod("a", "u-new", "Pending")])
    report = follow(jaeger_with(clock), known, NEW, seconds=5)
    assert not report.followed.quiet
    (listed,) = report.document()["pods"]
    assert (listed["phase"], listed["services"]) == ("Pending", [])
    assert listed["durationMs"] is listed["traceUrl"] is None
    assert "pod n/a  Pending, no trace of its own" in terminal.plain(*tree.render(report))


GATE = {"spec": {"schedulingGates": [{"name": "hold"}], "containers": [{"name": "a"}]}}
UNSEEN = {
    "spec": {"nodeName": "n1", "containers": [{"name": "a"}]},
    "status": {"phase": "Pending"},
}
FAILED = {"phase": "Failed", "reason": "SysctlForbidden", "message": "not allowlisted"}
NO_NODE = {
    "phase": "Pending",
    "conditions": [{"type": "PodScheduled", "status": "False", "message": "0/1 nodes"}],
}


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (GATE, "scheduling gates: hold"),
        ({"status": FAILED}, "the pod has failed: SysctlForbidden: not allowlisted"),
        ({"status": NO_NODE}, "unschedulable: 0/1 nodes"),
        (UNSEEN, "the kubelet of n1"),
    ],
)
def test_a_pod_without_a_trace_is_told_with_what_it_waits_for(
    owners: Callable[..., PodOwners], clock: Clock, changes: dict[str, Any], told: str
) -> None:
    listed_pod = pod("a", "u-new", "Pending") | changes
    known = owners([], [listed_pod])
    report = follow(jaeger_with(clock), known, NEW, seconds=5)
    (listed,) = report.document()["pods"]
    (waiting,) = listed["waitingFor"]
    assert told in waiting["what"]
    assert f"now: {waiting['what']}" in terminal.plain(*tree.render(report))


NO_VOLUME = 'MountVolume.SetUp failed for volume "v": secret "absent" not found'
EVENT = {
    "involvedObject": {"uid": "u-new"},
    "reason": "FailedMount",
    "type": "Warning",
    "message": NO_VOLUME,
    "firstTimestamp": "1970-01-01T00:00:02Z",
    "lastTimestamp": "1970-01-01T00:00:04Z",
}
CREATING = {"state": {"waiting": {"reason": "ContainerCreating"}}, "name": "a"}


@pytest.mark.parametrize("traced", [False, True])
@pytest.mark.parametrize("refused", [False, True])
def test_what_a_pods_events_tell_is_told_or_that_they_cannot_be_read(
    owners: Callable[..., PodOwners], clock: Clock, *, traced: bool, refused: bool
) -> None:
    listed_pod = pod("a", "u-new", "Pending")
    listed_pod["spec"] = {"nodeName": "n1", "containers": [{"name": "a"}]}
    listed_pod["status"] |= {"containerStatuses": [CREATING], "startTime": "1970-01-01T00:00:01Z"}
    known = owners([], [listed_pod], of_pod=[EVENT], refused=refused)
    sandbox = trace(
        span("kubelet", "syncPod", 1_000_000, **{"k8s.pod": "n/a", "k8s.pod.uid": "u-new"}),
        span("kubelet", "runtime.v1.RuntimeService/RunPodSandbox", 1_000_010, "syncPod"),
        trace_id="sandbox",
    )
    report = follow(jaeger_with(clock, *([sandbox] if traced else [])), known, NEW, seconds=5)
    (listed,) = report.document()["pods"]
    told = terminal.plain(*tree.render(report))
    assert (f"waiting for a volume: {NO_VOLUME}" in told) is not refused
    assert ("without the pod's Events: " in told) is refused
    assert any(line.startswith("the pod's Events: ") for line in listed["missing"]) is refused


def test_a_pod_that_runs_waits_for_nothing(owners: Callable[..., PodOwners], clock: Clock) -> None:
    listed_pod = pod("a", "u-new") | {"spec": {"nodeName": "n1", "containers": [{"name": "a"}]}}
    listed_pod["status"]["containerStatuses"] = [
        {"name": "a", "state": {"running": {"startedAt": "1970-01-01T00:00:00Z"}}}
    ]
    report = follow(jaeger_with(clock), owners([], [listed_pod]), NEW, seconds=5)
    assert report.document()["pods"][0]["waitingFor"] == []


def test_text_and_json_tell_one_start(owners: Callable[..., PodOwners], clock: Clock) -> None:
    """The kubelet's later syncs of a pod make its traces longer than its start."""
    started = start_of("a", "u-new")
    started["spans"][0]["duration"] = 5_000_000
    started["processes"]["kubelet"]["tags"] = [{"key": "k8s.node.name", "value": "node-1"}]
    listed_pod = pod("a", "u-new")
    listed_pod["spec"] = {"containers": [{"name": "a"}]}
    state = {"running": {"startedAt": "1970-01-01T00:00:00.001010Z"}}
    listed_pod["status"]["containerStatuses"] = [{"name": "a", "state": state}]
    known = owners([], [listed_pod])
    report = follow(jaeger_with(clock, started), known, NEW, seconds=5)
    (found,) = report.followed.pods
    assert found.start is not None
    (listed,) = report.document()["pods"]
    assert listed["durationMs"] == round(found.start.duration_ms, 1)
    assert (listed["uid"], listed["node"], listed["outcome"]) == ("u-new", "node-1", "started")
    assert listed["complete"] is True
    assert [step["name"] for step in listed["steps"]] == [step.name for step in found.start.steps]
    assert listed["terminationMs"] is None
    shown = terminal.plain(*tree.render(report))
    took = terminal.milliseconds(found.start.duration_ms)
    assert f"pod n/a on node-1  started in {took}  kubelet" in shown


def end_of(name: str, uid: str, start: int, duration: int) -> dict[str, Any]:
    tags = {"k8s.pod": f"n/{name}", "k8s.pod.uid": uid}
    ending = span("kubelet", "syncTerminatingPod", start, **tags)
    ending["duration"] = duration
    return trace(ending, trace_id=f"end-{uid}")


def test_the_kubelets_part_of_an_end_is_told_where_its_beginning_is_not_known(
    owners: Callable[..., PodOwners], clock: Clock
) -> None:
    """And not as long as everything that Jaeger has of the pod."""
    known = owners([pod("a", "u-a")], [])
    removed = RecordedRequest("DELETE", "/api/v1/namespaces/n/pods/a", 0, 1, 200)
    ended = end_of("a", "u-a", 90_000_000, 2_680_000)
    report = follow(jaeger_with(clock, ended), known, removed)
    (listed,) = report.document()["pods"]
    assert (listed["outcome"], listed["durationMs"], listed["complete"]) == ("ended", None, None)
    assert listed["terminationMs"] == 2680.0
    shown = terminal.plain(*tree.render(report))
    assert (
        "pod n/a  has ended; how long that took is not known, the kubelet took 2.68 s for its"
        in shown
    )
    both = follow(jaeger_with(clock, start_of("a", "u-a"), ended), owners([], []), NEW)
    (listed,) = both.document()["pods"]
    assert (listed["outcome"], listed["terminationMs"]) == ("started", 2680.0)
    assert listed["durationMs"] < 1
    shown = terminal.plain(*tree.render(both))
    started = "1 container started 0.0 ms after its first span"
    assert f"{started} (whether more were wanted is not known), has ended" in shown


TERMINATING: dict[str, Any] = {
    "deletionTimestamp": "1970-01-01T00:00:30Z",
    "deletionGracePeriodSeconds": 30,
}


def test_a_pod_that_still_ends_is_told_without_a_trace(
    owners: Callable[..., PodOwners], clock: Clock
) -> None:
    known = owners([pod("a", "u-a")], [pod("a", "u-a", **TERMINATING)])
    removed = RecordedRequest("DELETE", "/api/v1/namespaces/n/pods/a", 0, 1, 200)
    report = follow(jaeger_with(clock), known, removed, seconds=4)
    (listed,) = report.document()["pods"]
    assert (listed["outcome"], listed["endCause"], listed["cause"]) == ("ending", "request", None)
    assert report.document()["quiet"] is False
    assert "pod n/a  is terminating" in terminal.plain(*tree.render(report))


@pytest.mark.parametrize(
    ("before", "after", "cause", "outcome"),
    [
        ({}, None, "owner", "ended"),
        ({}, TERMINATING, "owner", "ending"),
        (TERMINATING, None, "before", "ended"),
        (TERMINATING, TERMINATING, "before", "ending"),
    ],
)
def test_a_pod_that_its_controller_ends_is_told_with_what_links_it(  # noqa: PLR0917
    owners: Callable[..., PodOwners],
    clock: Clock,
    before: dict[str, Any],
    after: dict[str, Any] | None,
    cause: str,
    outcome: str,
) -> None:
    """Its traces may be lost, or not have been sent yet."""
    first = [pod("a", "u-a", owner="u-d", **before), pod("b", "u-b", owner="u-d")]
    later = [] if after is None else [pod("a", "u-a", owner="u-d", **after)]
    known = owners(first, [*later, pod("b", "u-b", owner="u-d")])
    report = follow(jaeger_with(clock), known, SCALED, seconds=4)
    (listed,) = report.document()["pods"]
    assert (listed["name"], listed["endCause"], listed["outcome"]) == ("a", cause, outcome)
    shown = terminal.plain(*tree.render(report))
    told = "note: that the command ended 1 pod is concluded from owners (or the namespace) and"
    assert (told in shown) == (cause == "owner")
    assert ("its deletion was asked for before the command began" in shown) == (cause == "before")


@pytest.mark.parametrize(
    ("reason", "names"),
    [("DeletionByTaintManager", ["a"]), ("EvictionByEvictionAPI", [])],
)
def test_a_pod_that_a_written_node_loses_is_told(
    owners: Callable[..., PodOwners], clock: Clock, reason: str, names: list[str]
) -> None:
    condition = {"type": "DisruptionTarget", "status": "True", "reason": reason}
    ending = pod("a", "u-a", owner="u-o", **TERMINATING) | {"spec": {"nodeName": "k"}}
    ending["status"]["conditions"].append(condition)
    ending["metadata"]["ownerReferences"][0]["controller"] = True
    known = owners([pod("a", "u-a") | {"spec": {"nodeName": "k"}}], [ending], [])
    tainted = RecordedRequest("PATCH", "/api/v1/nodes/k", 0, 1, 200)
    found = follow(jaeger_with(clock), known, tainted).followed.pods
    assert [(one.name, one.end_cause, one.cause) for one in found] == [
        (name, "node", "it was on node k, which the command wrote") for name in names
    ]
    later = [ending, pod("b", "u-b", owner="u-o")]
    known = owners([pod("a", "u-a") | {"spec": {"nodeName": "k"}}], later)
    found = follow(jaeger_with(clock), known, tainted).followed.pods
    assert [one.cause for one in found if one.name == "b"] == [
        "new pod of Thing t, of which pod a was removed" for _ in names
    ]


def test_a_node_whose_clock_is_behind_hides_no_start_and_no_end(
    owners: Callable[..., PodOwners], clock: Clock
) -> None:
    """Only a pod that was there before may have done that before the command."""
    clock.now = 100.0
    old = end_of("old", "u-old", 97_000_000, 1000)
    new, ran = start_of("a", "u-new"), start_of("b", "u-b")
    for trace_ in (new, ran):
        for item in trace_["spans"]:
            item["startTime"] = 98_000_000 + item["startTime"]
    known = owners(
        [pod("old", "u-old", owner="u-d"), pod("b", "u-b", owner="u-d")],
        [pod("a", "u-new", owner="u-d"), pod("b", "u-b", owner="u-d")],
    )
    found = follow(jaeger_with(clock, new, ran, old), known, SCALED, since=100.0).followed.pods
    assert [(one.name, one.outcome, len(one.traces)) for one in found] == [
        ("a", "started", 1),
        ("old", "ended", 1),
    ]


def test_a_static_pod_does_not_end_with_its_object(
    owners: Callable[..., PodOwners], clock: Clock
) -> None:
    mirror: dict[str, Any] = {"annotations": {"kubernetes.io/config.mirror": "x"}}
    known = owners([pod("a", "u-a", **mirror)], [pod("a", "u-b", **mirror)])
    removed = RecordedRequest("DELETE", "/api/v1/namespaces/n/pods/a", 0, 1, 200)
    (found,) = follow(jaeger_with(clock), known, removed).followed.pods
    assert (found.uid, found.outcome, found.end_cause) == ("u-b", "waiting", None)
    assert found.cause == "it is static: its kubelet made its object again, and the pod goes on"


def test_a_deleted_object_is_followed_until_it_is_gone(
    owners: Callable[..., PodOwners], clock: Clock, server: FakeServer
) -> None:
    known = owners([])
    path = "/api/v1/namespaces/n/configmaps/a"
    meta = {"name": "a", "uid": "u", "finalizers": ["x/y"], **TERMINATING}
    answer, looks = server.answer, iter(range(100))

    def held(request: Request) -> Reply:
        if request.path != path:
            return answer(request)
        return Reply(200, {"metadata": meta}) if next(looks) < 8 else Reply(404, {})

    server.answer = held
    removed = RecordedRequest("DELETE", path, 0, 1, 200, "id", ObjectReference("a", "u"))
    report = follow(jaeger_with(clock), known, removed, seconds=2)
    (found,) = report.document()["removed"]
    assert (found["state"], found["finalizers"]) == ("terminating", ["x/y"])
    assert not report.followed.quiet
    told = "configmaps n/a still exists, terminating since 1970-01-01 00:00:00 UTC: held by"
    assert f"{told} finalizer x/y" in terminal.plain(*tree.render(report))
    report = follow(jaeger_with(clock), known, removed)
    assert [one.state for one in report.followed.removed] == ["gone"]
    assert report.followed.quiet
    assert "still exists" not in terminal.plain(*tree.render(report))


def test_containers_of_a_pod_that_ran_before_the_command_are_no_start(
    owners: Callable[..., PodOwners], clock: Clock
) -> None:
    """As with `kubectl debug`, or a container that is restarted."""
    tags = {"k8s.pod": "n/a", "k8s.pod.uid": "u-a"}
    later = trace(
        span("kubelet", "syncPod", 600_000_000, **tags),
        span("kubelet", "runtime.v1.RuntimeService/StartContainer", 600_000_010, "syncPod"),
        trace_id="later",
    )
    known = owners([pod("a", "u-a")])
    patched = RecordedRequest(
        "PATCH", "/api/v1/namespaces/n/pods/a/ephemeralcontainers", 0, 1, 200, "id-1"
    )
    clock.now = 700
    # What the command caused begins after 500 s; Jaeger has the first start too.
    jaeger = jaeger_with(clock, start_of("a", "u-a"), later)
    report = follow(jaeger, known, patched, seconds=5, since=500)
    (listed,) = report.document()["pods"]
    assert (listed["outcome"], listed["complete"], listed["steps"]) == ("changed", None, [])
    shown = terminal.plain(*tree.render(report))
    assert "pod n/a  containers started in a pod that ran already: 0.0 ms" in shown


@pytest.mark.parametrize(
    ("statuses", "complete", "text"),
    [
        # Neither a span nor the pod object tells the beginning, so no time so far is known.
        (["running", "waiting"], False, "on node-2  1 of 2 containers started  "),
        (["running", "running"], True, "started in less than a second"),
        (["running", "failed"], False, "on node-2  1 of 2 containers started  "),
    ],
)
def test_a_start_is_complete_when_every_container_has_started(
    owners: Callable[..., PodOwners],
    clock: Clock,
    statuses: list[str],
    complete: bool,
    text: str,
) -> None:
    states = {
        "running": {"running": {"startedAt": "1970-01-01T00:00:00.001010Z"}},
        "waiting": {"waiting": {"reason": "ImagePullBackOff"}},
        "failed": {"terminated": {"reason": "StartError"}},
    }
    listed_pod = pod("a", "u-new", ready=complete)
    listed_pod["spec"] = {"nodeName": "node-2", "containers": [{"name": "a"}, {"name": "b"}]}
    listed_pod["status"]["containerStatuses"] = [
        {"name": name, "state": states[status]} for name, status in zip("ab", statuses, strict=True)
    ]
    known = owners([], [listed_pod])
    report = follow(jaeger_with(clock, start_of("a", "u-new")), known, NEW, seconds=5)
    (listed,) = report.document()["pods"]
    assert (listed["complete"], listed["node"]) == (complete, "node-2")
    assert listed["outcome"] == ("started" if complete else "starting")
    assert listed["containersWanted"] == 2
    assert text in terminal.plain(*tree.render(report))


def test_a_start_that_is_not_read_in_time_is_not_called_an_end(
    owners: Callable[..., PodOwners], clock: Clock
) -> None:
    known = owners([], [pod("a", "u-new")])
    report = follow(jaeger_with(clock, start_of("a", "u-new"), seconds=1), known, NEW, seconds=0)
    (listed,) = report.document()["pods"]
    assert (listed["outcome"], listed["durationMs"]) == ("unread", None)
    assert "could not be read from Jaeger in time" in terminal.plain(*tree.render(report))


def test_what_failed_in_a_start_is_told_however_short_it_was(
    owners: Callable[..., PodOwners], clock: Clock
) -> None:
    pull = "runtime.v1.ImageService/PullImage"
    failed = span("kubelet", pull, 1100, "syncPod", error="true")
    tags = {"k8s.pod": "n/a", "k8s.pod.uid": "u-new", "k8s.pod.update_type": "create"}
    sandbox = span("kubelet", "runtime.v1.RuntimeService/RunPodSandbox", 1005, "syncPod")
    sandbox["duration"] = 1_000_000
    started = trace(span("kubelet", "syncPod", 1000, **tags), sandbox, failed)
    known = owners([], [pod("a", "u-new", "Pending")])
    report = follow(jaeger_with(clock, started), known, NEW, seconds=5)
    (listed,) = report.document()["pods"]
    assert listed["errors"] == ["pull: failed"]
    assert "FAILED: failed" in terminal.plain(*tree.render(report))


def test_what_did_nothing_since_is_no_consequence(
    owners: Callable[..., PodOwners], clock: Clock
) -> None:
    known = owners([pod("old", "u-old", owner="u-d")])
    report = follow(jaeger_with(clock), known, SCALED)
    assert report.followed.pods == []
    assert report.followed.quiet


@pytest.mark.parametrize(
    ("last", "quiet"),
    [
        ([pod("a", "u-new", "Running", ready=True)], True),
        ([pod("a", "u-new", "Running", ready=False)], False),
        ([pod("a", "u-new", "Running", ready=True, deletionTimestamp="now")], False),
        ([pod("a", "u-new", "Succeeded")], True),
        ([pod("a", "u-new", "Pending")], False),
        ([], True),
    ],
)
def test_a_pod_is_followed_until_it_is_ready_or_gone(
    owners: Callable[..., PodOwners], clock: Clock, last: list[dict[str, Any]], quiet: bool
) -> None:
    known = owners([], [pod("a", "u-new", "Pending")], last)
    report = follow(jaeger_with(clock), known, NEW, seconds=10)
    assert report.followed.quiet is quiet
    assert clock.now < 13
    assert len(report.followed.pods) == 1


RESIZING = {"type": "PodResizeInProgress", "status": "True"}


def changing(**status: Any) -> dict[str, Any]:
    """A pod that is Ready, of which the kubelet has not done yet what was asked for."""
    found = pod("a", "u-new", generation=2)
    found["status"]["conditions"] += status.pop("conditions", [])
    found["status"].update(status)
    return found


@pytest.mark.parametrize(
    ("listed", "quiet"),
    [
        (changing(conditions=[RESIZING], observedGeneration=2), False),
        (changing(observedGeneration=1), False),
        (changing(observedGeneration=2), True),
        (changing(), True),
    ],
)
def test_a_ready_pod_is_followed_until_its_kubelet_has_done_what_was_asked(
    owners: Callable[..., PodOwners], clock: Clock, listed: dict[str, Any], quiet: bool
) -> None:
    """A container that is restarted for other resources may take its grace period to end."""
    report = follow(jaeger_with(clock), owners([], [listed]), NEW, seconds=10)
    assert report.followed.quiet is quiet


def test_the_spans_of_what_a_pod_was_followed_for_are_waited_for(
    owners: Callable[..., PodOwners], clock: Clock
) -> None:
    known = owners([], *([[changing(conditions=[RESIZING])]] * 8), [changing()])
    report = follow(jaeger_with(clock), known, NEW, seconds=30)
    assert report.followed.quiet
    assert clock.now > 8 * 0.7 + 2.5


DEFERRED = {
    "type": "PodResizePending",
    "status": "True",
    "reason": "Deferred",
    "message": "Node didn't have enough resource: cpu",
}
RESIZED = RecordedRequest(
    "PATCH",
    "/api/v1/namespaces/n/pods/a/resize",
    0,
    1,
    200,
    "id-1",
    ObjectReference("a", "u-new"),
)


@pytest.mark.parametrize("reason", ["Deferred", "Infeasible"])
def test_a_resize_that_the_kubelet_has_not_done_is_told(
    owners: Callable[..., PodOwners], clock: Clock, reason: str
) -> None:
    """It was not: the pod is Ready, and nothing was done that would have a span."""
    before = changing(observedGeneration=1)
    before["metadata"]["generation"] = 1
    after = changing(conditions=[DEFERRED | {"reason": reason}], observedGeneration=2)
    after["spec"] = {"nodeName": "node-1"}
    report = follow(jaeger_with(clock), owners([before], [after]), RESIZED, seconds=10)
    told = f"resize {reason.lower()}: Node didn't have enough resource: cpu"
    (listed,) = report.document()["pods"]
    assert [waiting["what"] for waiting in listed["waitingFor"]] == [told]
    assert (listed["outcome"], listed["phase"]) == ("waiting", "Running")
    text = terminal.plain(*tree.render(report))
    assert "pod n/a on node-1  Running, no trace of its own" in text
    assert f"now: {told}" in text
    # The node may get room for one that is deferred.
    assert report.followed.quiet is (reason == "Infeasible")
    assert report.followed.pods[0].whole


def test_a_resize_that_was_deferred_and_is_done_is_told_no_more(
    owners: Callable[..., PodOwners], clock: Clock
) -> None:
    after = changing(conditions=[DEFERRED], observedGeneration=2)
    known = owners([changing()], *([[after]] * 4), [changing(observedGeneration=2)])
    report = follow(jaeger_with(clock), known, RESIZED, seconds=30)
    assert report.followed.quiet
    assert report.followed.pods == []


def test_a_restart_names_its_container_and_how_often_it_was() -> None:
    call = "runtime.v1.RuntimeService/CreateContainer"
    tags = {"container.id": "id-1", "container.name": "main_a_n_u-a_1"}
    later = trace(
        span("kubelet", "syncPod", 10),
        span("kubelet", call, 20, "syncPod"),
        span("containerd", call, 21, call, **tags) | {"spanID": "containerd's"},
    )
    listed = pod("a", "u-a")
    listed["spec"] = {"containers": [{"name": "main"}]}
    listed["status"]["containerStatuses"] = [{"name": "main", "restartCount": 2}]
    traces = client(lambda _: data(later)).find("kubelet", limit=1)
    found = FollowedPod("n", "a", "u-a", "Running", tuple(traces), document=listed)
    assert found.restarted == ("main, tried again 2 times in all",)
    listed["status"]["containerStatuses"][0]["state"] = {"running": {}}
    assert found.restarted == ("main, restarted 2 times in all",)


def test_a_pod_that_lived_only_meanwhile_is_found_by_its_name(
    owners: Callable[..., PodOwners], clock: Clock
) -> None:
    report = follow(jaeger_with(clock, start_of("a", "u-new")), owners([]), NEW)
    (found,) = report.followed.pods
    assert (found.name, found.phase, found.services) == ("a", "", ["kubelet"])
    assert found.start is not None


def test_a_pod_that_lived_only_meanwhile_is_seen_by_looking(
    owners: Callable[..., PodOwners], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ktrace.following.owners._POLL_SECONDS", 0.005)
    known = owners([], [pod("hook", "u-hook", owner="u-job")], [])
    with known.refreshing():
        while "u-hook" not in known.pods:
            pass
    assert known.pods["u-hook"].owners == ("u-job",)


def test_pods_of_one_name_keep_their_own_traces(
    owners: Callable[..., PodOwners], clock: Clock
) -> None:
    known = owners([pod("a", "u-old")], [pod("a", "u-new")])
    removed = RecordedRequest("DELETE", "/api/v1/namespaces/n/pods/a", 0, 1, 200)
    jaeger = jaeger_with(clock, start_of("a", "u-old"), start_of("a", "u-new"))
    found = follow(jaeger, known, removed, NEW).followed.pods
    assert {pod.uid: [trace.id for trace in pod.traces] for pod in found} == {
        "u-old": ["u-old"],
        "u-new": ["u-new"],
    }
    assert [pod.start.trace_ids[-1] for pod in found if pod.start] == ["u-old", "u-new"]


def test_following_ends_in_time_however_slow_jaeger_is(
    owners: Callable[..., PodOwners], clock: Clock
) -> None:
    reads = [
        RecordedRequest("GET", "/version", 0, 1, 200, f"read-{number}") for number in range(600)
    ]
    many = [pod(f"p{number}", f"u-{number}", owner="u-d") for number in range(50)]
    known = owners([], many)
    write = trace(span("apiserver", "Patch", 0, "", **{"audit-id": "id-2"}))
    starts = (start_of(item["metadata"]["name"], item["metadata"]["uid"]) for item in many)
    jaeger = jaeger_with(clock, write, *starts)
    report = follow(jaeger, known, *reads, SCALED, seconds=2)
    assert clock.now < 4.5
    assert set(report.followed.traces) == {"id-2"}
    assert len(report.followed.pods) == 50


def test_each_pod_that_ends_is_read_and_that_has_an_end(
    owners: Callable[..., PodOwners], clock: Clock
) -> None:
    many = [pod(f"p{number}", f"u-{number}", owner="u-d") for number in range(50)]
    ends = [end_of(f"p{number}", f"u-{number}", 1_000_000, 1000) for number in range(50)]
    quick = follow(jaeger_with(clock, *ends, seconds=0.01), owners(many, []), SCALED, seconds=2)
    assert all(found.ending for found in quick.followed.pods)
    clock.now = 0.0
    slow = follow(jaeger_with(clock, *ends, seconds=0.5), owners(many, []), SCALED, seconds=2)
    assert clock.now < 2 + 2 + 50 * 0.1 + 10
    unread = [found for found in slow.followed.pods if not found.ending]
    assert unread
    shown = terminal.plain(*tree.render(slow))
    assert "could not be read from Jaeger in time" in shown


def test_pods_that_cannot_be_listed_are_a_problem(
    owners: Callable[..., PodOwners], server: FakeServer
) -> None:
    known = owners([])
    server.answer = lambda _: Reply(403, {"message": "no"})
    known.refresh()
    assert known.problem == "the cluster's pods cannot be listed: 403 Forbidden"


def test_a_requests_time_is_not_that_of_its_clients_trace(
    owners: Callable[..., PodOwners], clock: Clock
) -> None:
    whole = trace(
        span("operator", "reconcile", 0),
        span("apiserver", "GET /x", 1, "reconcile"),
        span("apiserver", "Get", 2, "GET /x", **{"audit-id": "another"}),
        span("apiserver", "POST /y", 20, "reconcile"),
        span("apiserver", "Create", 21, "POST /y", **{"audit-id": "id-1"}),
    )
    for number, duration in enumerate((1_500_000, 900_000, 800_000, 7000, 5000)):
        whole["spans"][number]["duration"] = duration
    report = follow(jaeger_with(clock, whole), owners([]), NEW)
    assert report.document()["requests"][0]["durationMs"] == 7.0


def test_requests_of_one_trace_have_their_own_times_and_the_trace_is_read_once(
    owners: Callable[..., PodOwners], clock: Clock
) -> None:
    """As where the API server joins the command's trace: ktrace's spans have the ids, too."""
    ids: list[dict[str, Any]] = [{"audit-id": f"id-{number}"} for number in range(30)]
    spans = [span("ktrace", "command")]
    requests = []
    for number, tags in enumerate(ids):
        client_span = span("ktrace", f"client-{number}", number, "command", **tags)
        own = span("apiserver", f"POST-{number}", number, f"client-{number}")
        handler = span("apiserver", f"Create-{number}", number, f"POST-{number}", **tags)
        own["duration"] = 1000 * (number + 1)
        client_span["duration"] = 900_000
        spans += [client_span, own, handler]
        requests.append(replace(NEW, audit_id=f"id-{number}"))
    searches: list[str] = []
    jaeger = jaeger_with(clock, trace(*spans))
    find = jaeger.find

    def counted(service: str, *args: Any, **options: Any) -> Any:
        searches.append(service)
        return find(service, *args, **options)

    jaeger.find = counted  # type: ignore[method-assign]
    document = follow(jaeger, owners([]), *requests).document()
    assert [entry["durationMs"] for entry in document["requests"]] == list(map(float, range(1, 31)))
    assert searches == ["apiserver"]


# --- what is read, and what fails -----------------------------------------------------------------


def checked_pod(seconds: int) -> Store:
    """Pod a has a start, and two syncs in each second after it, the last 30 s ago."""
    store = Store([start_of("a", "u-new")])
    for number in range(2 * seconds):
        tags = {"k8s.pod": "n/a", "k8s.pod.uid": "u-new"}
        check = span("kubelet", "syncPod", 2_000_000 + number * 500_000, **tags)
        call = span("kubelet", "runtime.v1.ImageService/PullImage", number, "syncPod")
        store.add(trace(check, call, trace_id=f"check-{number}"))
    return store


def test_polls_do_not_read_again_what_they_have(
    owners: Callable[..., PodOwners], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "time", clock)
    store = checked_pod(200)
    clock.now = 240.0
    known = owners([], [pod("a", "u-new", "Pending")])
    follow(client(store.answer), known, NEW, seconds=0)
    once = store.sent
    store.sent = 0
    report = follow(client(store.answer), known, NEW, seconds=30)
    assert not report.followed.quiet
    assert store.sent < 4 * once, "43 polls"


def failed_create(uid: str, message: str, last: str, **more: Any) -> dict[str, Any]:
    controller = {"kind": "ReplicaSet", "apiVersion": "apps/v1", "name": "d-1", "namespace": "n"}
    return {
        "reason": "FailedCreate",
        "message": message,
        "involvedObject": {**controller, "uid": uid},
        "lastTimestamp": last,
        **more,
    }


def test_what_a_controller_could_not_create_is_told(
    owners: Callable[..., PodOwners], clock: Clock
) -> None:
    quota = 'Error creating: pods "d-1-x" is forbidden: exceeded quota'
    events = [
        failed_create("u-new", COMBINED + quota, "2999-01-01T00:00:02Z", count=4),
        failed_create("u-new", "an earlier one", "2999-01-01T00:00:01Z"),
        failed_create("u-new", "of last week", "2020-01-01T00:00:00Z"),
        failed_create("u-of-another", quota, "2999-01-01T00:00:02Z"),
    ]
    following = Follower(client(lambda _: data()), owners([], events=events), [NEW], 0)
    following.follow(0)
    report = Report(("kubectl",), 0, (NEW,), following.followed, URL)
    told = {"namespace": "n", "kind": "ReplicaSet", "name": "d-1", "message": quota, "times": 5}
    assert report.document()["refusals"] == [told]
    shown = terminal.plain(*tree.render(report))
    assert f"ReplicaSet n/d-1 FailedCreate, 5 times: {quota}" in " ".join(shown.split())


def test_ctrl_c_ends_the_following_and_what_has_happened_is_read(
    owners: Callable[..., PodOwners], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_: float) -> None:
        raise KeyboardInterrupt

    jaeger = client(Store([start_of("a", "u-new")]).answer)
    events = [failed_create("u-new", "exceeded quota", "2999-01-01T00:00:02Z")]
    following = Follower(jaeger, owners([pod("a", "u-new")], events=events), [NEW], 0)
    monkeypatch.setattr(clock, "sleep", interrupted)
    following.follow(30)
    assert [found.outcome for found in following.followed.pods] == ["started"]
    assert [refusal.message for refusal in following.followed.refusals] == ["exceeded quota"]
    assert not following.followed.quiet


@pytest.mark.parametrize(
    "events", [None, [{}], "no list", [{"reason": "FailedCreate", "involvedObject": 7}]]
)
def test_events_that_cannot_be_read_are_told(
    owners: Callable[..., PodOwners], clock: Clock, events: Any
) -> None:
    following = Follower(client(lambda _: data()), owners([], events=events), [NEW], 0)
    following.follow(0)
    expected = "whether a controller could create its pods is not known: "
    assert [limit.startswith(expected) for limit in following.limits] == ([True] if events else [])


def test_a_limit_that_was_hit_is_told(
    owners: Callable[..., PodOwners], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follower, "_MOST_TRACES", 150)
    clock.now = 1000.0
    following = Follower(client(checked_pod(400).answer), owners([], [pod("a", "u-new")]), [NEW], 0)
    following.follow(0)
    (limit,) = following.limits
    assert limit.startswith("only the newest ")
    assert limit.endswith(" of the kubelet's traces of pod n/a were read")


def failing(clock: Clock, until: float) -> Jaeger:
    """A Jaeger that answers with 500 before ``until``."""
    store = Store([start_of("a", "u-new")])

    def answer(request: httpx.Request) -> httpx.Response:
        if clock.now < until:
            return httpx.Response(500, json={"errors": [{"msg": "no storage"}]})
        return store.answer(request)

    return client(answer)


def test_a_read_that_fails_is_repeated(owners: Callable[..., PodOwners], clock: Clock) -> None:
    report = follow(failing(clock, 3), owners([], [pod("a", "u-new")]), NEW)
    assert [found.outcome for found in report.followed.pods] == ["started"]
    assert report.followed.quiet


def test_a_jaeger_that_fails_to_the_end_is_an_error(
    owners: Callable[..., PodOwners], clock: Clock
) -> None:
    events = [failed_create("u-new", "exceeded quota", "2999-01-01T00:00:02Z")]
    known = owners([], [pod("a", "u-new")], events=events)
    following = Follower(failing(clock, 100), known, [NEW], 0)
    with pytest.raises(JaegerError, match="no storage"):
        following.follow(10)
    assert clock.now < 11
    assert following.followed.refusals, "the API server has answered"


def test_a_trace_that_grew_after_it_was_read_is_told_whole(
    owners: Callable[..., PodOwners], clock: Clock
) -> None:
    """The API server sends the spans of a request in the order in which they end."""
    outer, inner = span("apiserver", "POST /y", 20), span("apiserver", "Create", 21, "POST /y")
    outer["duration"] = 7000
    inner["tags"] = [{"key": "audit-id", "type": "string", "value": "id-1"}]
    first = trace(inner)

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.params["service"] != "apiserver":
            return data()
        clock.sleep(0.1)
        return data(first if clock.now < 1 else trace(outer, inner))

    report = follow(client(answer), owners([]), NEW)
    assert report.document()["requests"][0]["durationMs"] == 7.0
