"""Endings as a real Jaeger and API server told them (Kubernetes 1.36.3 and 1.37.2)."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from ktrace.podend import search
from ktrace.podend.model import PodEnding
from ktrace.view import ending as view
from tests.fakes import recorded_endings
from tests.fakes.clock import Clock

KUBECTL = "kubectl/v1.32.4"
SCHEDULER = "scheduler of kube-scheduler/v1.36.3"
CLEAN_UP = "volumes unmounted, cgroup removed"


@dataclass(frozen=True)
class Said:
    """What has to be said of an ending; the beginnings of its steps' names."""

    ended: bool | None
    asked: tuple[tuple[str, str], ...] = ()
    steps: tuple[str, ...] = ()
    waiting: str = ""
    killed: tuple[str, ...] = ()
    note: str = ""
    seconds: tuple[float, float] = (0, 60)


BY_KUBECTL = (("deleted", KUBECTL),)
KINDS = {
    "clean": Said(
        True,
        BY_KUBECTL,
        (f"delete request by {KUBECTL}", "stop main", "stop the sandbox",
         "network taken down (CNI)", CLEAN_UP, "delete request by the kubelet"),
        seconds=(0.3, 3),
    ),
    "stubborn": Said(
        True,
        BY_KUBECTL,
        ("containers end", "stop main: still ran 3.03 s after its stop signal, killed",
         "stop good", "stop the sandbox", CLEAN_UP),
        killed=("main",),
        seconds=(3.0, 6),
    ),
    "prestop": Said(
        True, BY_KUBECTL, ("preStop of main", "stop main", "stop the sandbox"), seconds=(2.0, 6)
    ),
    "sidecar": Said(True, BY_KUBECTL, ("stop app", "stop proxy", "stop the sandbox")),
    "evicted": Said(
        True, (("evicted", KUBECTL),), (f"eviction request by {KUBECTL}",), killed=("main",)
    ),
    "forced": Said(
        True,
        BY_KUBECTL,
        ("stop main", "stop the sandbox", CLEAN_UP),
        killed=("main",),
        note="it was deleted by force (grace period 0): its object was gone at once",
    ),
    "pending": Said(
        True,
        BY_KUBECTL,
        (f"delete request by {KUBECTL}",),
        note="nothing bound it to a node",
        seconds=(0, 0.5),
    ),
    "done-deleted": Said(
        True,
        BY_KUBECTL,
        (f"delete request by {KUBECTL}",),
        note="its containers had ended before",
        seconds=(0, 0.5),
    ),
    "rolled-out": Said(
        True,
        (("deleted", "replicaset-controller of kube-controller-manager/v1.36.3"),),
        ("stop busybox: still ran 30.01 s",),
        killed=("busybox",),
        seconds=(30, 40),
    ),
    "finalizer-removed": Said(
        True,
        BY_KUBECTL,
        ("stop main", "delete request by the kubelet", "held by finalizers",
         f"the last finalizer removed by {KUBECTL}"),
        seconds=(20, 40),
    ),
    "finalizer-held": Said(
        False,
        BY_KUBECTL,
        ("delete request by the kubelet", "waits for finalizer example.com/keep to be removed"),
        "finalizer example.com/keep to be removed",
    ),
    "stubborn-running": Said(
        False, BY_KUBECTL, ("stop good",), "container main to end (3 s of grace)"
    ),
    "prestop-running": Said(False, BY_KUBECTL, (), "the kubelet to clean up"),
    "evicted-running": Said(
        False, (("evicted", KUBECTL),), (), "container main to end (2 s of grace)"
    ),
    "ended-on-its-own": Said(True, (), ("stop the sandbox", CLEAN_UP)),
    "namesake": Said(
        True,
        BY_KUBECTL,
        ("stop again: still ran 2.02 s",),
        killed=("again",),
        note="a newer pod of that name exists, which has not been deleted",
    ),
    "limit-in-init": Said(True, (), ("stop fill: still ran 2.02 s",), killed=("fill",)),
    "limit-running": Said(True, (), ("stop main: still ran 2.04 s",), killed=("main",)),
    "preempted": Said(
        False,
        (("deleted", SCHEDULER),),
        ("until the kubelet begins to end it", "stop the sandbox", CLEAN_UP),
        "finalizer example.com/kept to be removed",
        seconds=(60, 70),
    ),
    "preempted-running": Said(
        False,
        (("deleted", SCHEDULER),),
        ("stop main: still ran 2.04 s", "stop the sandbox", CLEAN_UP),
        "finalizer example.com/kept to be removed",
        killed=("main",),
        seconds=(60, 70),
    ),
}  # fmt: skip


NEWER = {
    "cut-hook": Said(
        True, BY_KUBECTL, ("preStop of main, not done when the grace period ended", "stop main"),
    ),
    "bad-hook": Said(True, BY_KUBECTL, ("preStop of main", "stop main")),
    "sleep-hook": Said(
        True, BY_KUBECTL, ("not traced", "stop main"), note="nothing is traced for 2.00 s before",
    ),
    "deadline": Said(True, (), ("stop main: still ran 2.0",), killed=("main",)),
    "node-silent": Said(
        False,
        BY_KUBECTL,
        ("not traced", "waits for node k3d-traced-t42dec903-agent-0 to answer"),
        "node k3d-traced-t42dec903-agent-0 to answer: it is not Ready (NodeStatusUnknown)",
        seconds=(45, 90),
    ),
    "node-came-back": Said(
        True,
        BY_KUBECTL,
        ("until the kubelet begins to end it", "stop main: still ran 5.0"),
        killed=("main",),
        seconds=(60, 90),
    ),
}  # fmt: skip
"""On Kubernetes 1.37.2."""
ALL = [*((kind, "v1.36") for kind in KINDS), *((kind, "v1.37") for kind in NEWER)]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock().drive(monkeypatch, search)


def ending_of(
    clock: Clock, kind: str, version: str = "v1.36", *, with_cluster: bool = True
) -> PodEnding:
    recorded = recorded_endings.load(kind, version)
    clock.now = recorded.now / 1_000_000
    found = recorded.ending(with_cluster=with_cluster)
    assert found is not None
    return found


@pytest.mark.parametrize(("kind", "version"), ALL)
def test_an_ending_is_told_as_it_was(clock: Clock, kind: str, version: str) -> None:
    said, found = (KINDS | NEWER)[kind], ending_of(clock, kind, version)
    assert found.ended is said.ended
    assert tuple((asked.how, asked.by) for asked in found.asked) == said.asked
    assert found.killed == said.killed
    names = iter(step.name for step in found.steps)
    assert all(any(name.startswith(wanted) for name in names) for wanted in said.steps), [
        step.name for step in found.steps
    ]
    assert "; ".join(waiting.what for waiting in found.waiting).startswith(said.waiting)
    assert bool(found.waiting) is bool(said.waiting)
    assert any(note.startswith(said.note) for note in (*found.notes, ""))
    assert found.duration_ms is not None
    assert said.seconds[0] <= found.duration_ms / 1000 <= said.seconds[1]


GONE = [kind for kind, said in KINDS.items() if said.ended and said.asked and kind != "namesake"]


@pytest.mark.parametrize("kind", GONE)
def test_the_spans_alone_tell_the_same_of_a_pod_that_is_gone(clock: Clock, kind: str) -> None:
    with_cluster, without = (ending_of(clock, kind, with_cluster=w) for w in (True, False))
    assert without.steps == with_cluster.steps
    assert without.containers == with_cluster.containers
    assert (without.begun, without.ended_at) == (with_cluster.begun, with_cluster.ended_at)


def test_the_longest_step_is_the_container_that_did_not_end(clock: Clock) -> None:
    found = ending_of(clock, "stubborn")
    assert found.slowest
    assert found.slowest.name.startswith("stop main")
    main, good = found.containers
    assert (main.name, main.how) == ("main", "killed")
    assert 3000 <= (main.resisted_ms or 0) < 3100
    assert (good.name, good.how, good.resisted_ms) == ("good", "ended", None)


def test_without_the_runtime_s_spans_nobody_is_called_killed(clock: Clock) -> None:
    recorded = recorded_endings.load("stubborn")
    for trace in recorded.traces:
        services = {key: found["serviceName"] for key, found in trace["processes"].items()}
        trace["spans"] = [s for s in trace["spans"] if services[s["processID"]] != "containerd"]
    clock.now = recorded.now / 1_000_000
    found = recorded.ending()
    assert found is not None
    assert (found.ended, found.killed) == (True, ())
    assert {(end.name, end.how) for end in found.containers} == {("", "")}
    assert any("had to be killed is not known" in note for note in found.notes)
    assert any("the runtime's spans of the stop" in missing for missing in found.missing)


def test_a_running_pod_that_nobody_deleted_has_no_ending(clock: Clock) -> None:
    found = ending_of(clock, "not-deleted")
    assert (found.deleted, found.ended, found.begun, found.steps) == (False, False, None, ())


def test_an_eviction_s_reason_is_that_of_the_condition(clock: Clock) -> None:
    found = ending_of(clock, "evicted-running")
    assert found.disruption == "EvictionByEvictionAPI: Eviction API: evicting"
    assert found.grace_seconds == 2


def test_the_kubelet_and_the_scheduler_say_why_they_end_a_pod(clock: Clock) -> None:
    limit = ending_of(clock, "limit-in-init")
    assert limit.phase == "Failed"
    assert 'Evicted: Usage of EmptyDir volume "data" exceeds the limit "1Mi".' in limit.outcome
    found = ending_of(clock, "preempted")
    assert found.disruption.startswith("PreemptionByScheduler: default-scheduler: preempting to")


def test_the_uid_chooses_among_pods_of_one_name(clock: Clock) -> None:
    recorded = recorded_endings.load("namesake")
    clock.now = recorded.now / 1_000_000
    older = recorded.ending()
    assert older
    assert recorded.pod
    assert older.uid not in ("", recorded.pod["metadata"]["uid"])
    again = recorded.ending(uid=older.uid)
    assert again
    assert (again.steps, again.begun) == (older.steps, older.begun)


def test_a_pre_stop_command_that_fails_is_told_by_its_event(clock: Clock) -> None:
    found = ending_of(clock, "bad-hook", "v1.37")
    (hook,) = [step for step in found.steps if step.name == "preStop of main"]
    assert hook.error == "PreStopHook failed"


def test_a_pod_that_its_kubelet_ended_did_not_end_on_its_own(clock: Clock) -> None:
    by_kubelet, own = ending_of(clock, "deadline", "v1.37"), ending_of(clock, "ended-on-its-own")
    assert "its kubelet ended it, Failed; its end took 3.0" in view.title(by_kubelet)
    assert any(line.startswith("Failed: DeadlineExceeded") for line in view.summary(by_kubelet))
    assert "it ended on its own, Failed" in view.title(own)
