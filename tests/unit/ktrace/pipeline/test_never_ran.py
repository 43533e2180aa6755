"""A pod that never ran is never a broken hop: one line names what stopped it.

What one node can be made to do is recorded from a real API server (1.36.3). The other objects are
written by hand, as older releases and other plugins word them; taints and quotas on a real cluster
are in tests/e2e/test_admission.py.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from ktrace.pipeline import pod_watch, probe_pod, probe_trace
from ktrace.pipeline.probe_pod import ProbeError, SilenceError
from tests.fakes import recorded_stops
from tests.fakes.clock import Clock
from tests.unit.ktrace.pipeline.test_probe import ALL, Cluster, joined
from tests.unit.ktrace.pipeline.test_probe import cluster as cluster  # noqa: PLC0414  a fixture

NO_CONCLUSION = "Nothing follows from that about the spans' way to Jaeger"
REFUSED = "dial tcp: lookup registry.k8s.io on 10.43.0.10:53: connection refused"
NO_IMAGE = f'failed to pull image "pause:3.6": failed to do request: {REFUSED}'
NO_CNI = (
    "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady "
    "message:Network plugin returns error: cni plugin not initialized"
)
NO_SANDBOX = (
    "Failed to create pod sandbox: rpc error: code = Unknown desc = failed to setup network: "
    'plugin type="flannel" failed (add): open /run/flannel/subnet.env: no such file or directory'
)
NO_MOUNT = 'MountVolume.SetUp failed for volume "token" : secret "token" not found'
EVICTED = "The node was low on resource: ephemeral-storage. Threshold quantity: 1Gi, available: 0."
DISK_PRESSURE = (
    "0/1 nodes are available: 1 node(s) had untolerated taint "
    "{node.kubernetes.io/disk-pressure: }. preemption: 0/1 nodes are available"
)


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock().drive(monkeypatch, probe_trace, probe_pod, pod_watch)


def waiting(reason: str, message: str = "") -> dict[str, Any]:
    state = {"reason": reason} | ({"message": message} if message else {})
    return {"name": "probe", "ready": False, "restartCount": 0, "state": {"waiting": state}}


def terminated(reason: str, message: str = "") -> dict[str, Any]:
    end = {"exitCode": 128, "reason": reason, "message": message, "startedAt": None}
    return {"name": "probe", "ready": False, "restartCount": 0, "state": {"terminated": end}}


def warning(reason: str, message: str, at: str = "2026-01-01T00:00:10Z") -> dict[str, Any]:
    return {"type": "Warning", "reason": reason, "message": message, "lastTimestamp": at}


def normal(reason: str, at: str) -> dict[str, Any]:
    return {"type": "Normal", "reason": reason, "message": "fine", "lastTimestamp": at}


def pending(*containers: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"phase": "Pending", "containerStatuses": list(containers), **more}


@dataclass(frozen=True)
class Stopped:
    """What stopped a pod, as the API server tells it, and what is told of it."""

    status: dict[str, Any]
    told: list[str]
    events: list[dict[str, Any]] = field(default_factory=list)
    ready: dict[str, Any] = field(default_factory=lambda: {"status": "True"})
    node: str = "n1"


NOT_READY = {"status": "False", "reason": "KubeletNotReady", "message": NO_CNI}
STOPPED = {
    "the back-off of a pull": Stopped(
        pending(waiting("ImagePullBackOff", 'Back-off pulling image "pause:3.6"')),
        [f"Failed: {NO_IMAGE}. Set probeImage to an image"],
        [
            normal("Scheduled", "2026-01-01T00:00:00Z"),
            warning("FailedScheduling", "no node yet", "2026-01-01T00:00:00Z"),
            warning("Failed", NO_IMAGE, "2026-01-01T00:00:05Z"),
            warning("Failed", "Error: ErrImagePull", "2026-01-01T00:00:06Z"),
            warning("BackOff", 'Back-off pulling image "pause:3.6"', "2026-01-01T00:00:07Z"),
            normal("Pulling", "2026-01-01T00:00:09Z"),
        ],
    ),
    "a sandbox without a network": Stopped(
        pending(waiting("ContainerCreating")),
        [
            f"Pending, ContainerCreating; FailedCreatePodSandBox: {NO_SANDBOX}. ",
            "See whether the node's network plugin (CNI) is installed and runs",
        ],
        [warning("FailedCreatePodSandBox", NO_SANDBOX)],
    ),
    "a node that became not ready": Stopped(
        pending(),
        [f"node n1 is not Ready: KubeletNotReady: {NO_CNI}. ", "`kubectl describe node n1`"],
        ready=NOT_READY,
    ),
    "a kubelet that is gone": Stopped(
        pending(waiting("ContainerCreating")),
        ["node n1 is not Ready: NodeStatusUnknown: Kubelet stopped posting node status. "],
        ready={
            "status": "Unknown",
            "reason": "NodeStatusUnknown",
            "message": "Kubelet stopped posting node status.",
        },
    ),
    "an eviction": Stopped(
        {"phase": "Failed", "reason": "Evicted", "message": EVICTED},
        [f"did not run on node n1: Failed, Evicted: {EVICTED}"],
        [warning("Evicted", EVICTED)],
    ),
    "an eviction of what never started": Stopped(
        {
            "phase": "Failed",
            "reason": "Evicted",
            "message": EVICTED,
            "containerStatuses": [terminated("ContainerStatusUnknown", "could not be located")],
        },
        [f"Evicted: {EVICTED}", "ContainerStatusUnknown: could not be located"],
    ),
    "a preemption": Stopped(
        pending(
            waiting("ContainerCreating"),
            conditions=[
                {
                    "type": "DisruptionTarget",
                    "status": "True",
                    "reason": "PreemptionByScheduler",
                    "message": "default-scheduler: preempting to accommodate a higher priority pod",
                }
            ],
        ),
        ["PreemptionByScheduler: default-scheduler: preempting to accommodate"],
    ),
    "a node under disk pressure": Stopped(
        pending(
            conditions=[
                {
                    "type": "PodScheduled",
                    "status": "False",
                    "reason": "Unschedulable",
                    "message": DISK_PRESSURE,
                }
            ]
        ),
        [f"it is unschedulable: Unschedulable: {DISK_PRESSURE}. Let a node take it"],
        node="",
    ),
}


TOLD_OF_RECORDED = {
    "gated": ["it is unschedulable: SchedulingGated: Scheduling is blocked due to non-empty"],
    "unschedulable": ["it is unschedulable: Unschedulable: 0/1 nodes are available: 1 node(s)"],
    "tainted": ["it is unschedulable: Unschedulable: 0/1 nodes are available: 1 node(s) had untol"],
    "missing-secret": ['Pending, CreateContainerConfigError: secret "x" not found. '],
    "never-pulled": ["ErrImageNeverPull: Container image ", "Set probeImage"],
    "unpullable": ["Pending, ImagePullBackOff", "lookup registry.invalid on ", "Set probeImage"],
    "unmountable": [f"Pending, ContainerCreating; FailedMount: {NO_MOUNT}", "See which volume"],
    "out-of-cpu": ["Failed, OutOfcpu: Pod was rejected: Node didn't have enough resource: cpu"],
    "unstartable": ["Failed, StartError: failed to create containerd task: ", 'exec: "/none"'],
    "evicted-in-init": ['Failed, Evicted: Usage of EmptyDir volume "data" exceeds the limit "1Mi"'],
    "disk-pressure-on-node": ["Evicted: Pod was rejected: The node had condition: [DiskPressure]"],
    "disk-pressure": ["it is unschedulable: Unschedulable: 0/1 nodes are available: 1 node(s) had"],
    "preempted": [
        "Failed, ",
        "PreemptionByScheduler: default-scheduler: preempting to accommodate",
    ],
    "no-address": ["FailedCreatePodSandBox: ", "no IP addresses available", "(CNI) is installed"],
    "no-cni": [f"node n1 is not Ready: KubeletNotReady: {NO_CNI}. "],
    "kubelet-silent": ["node n1 is not Ready: NodeStatusUnknown: Kubelet stopped posting node"],
}
STOPPED |= {
    f"recorded, {pod}": Stopped(
        found["status"],
        TOLD_OF_RECORDED[pod],
        found["events"],
        ready=found.get("ready") or {"status": "True"},
        node="n1" if found["node"] else "",
    )
    for pod, found in recorded_stops.load("v1.36").items()
}


@pytest.mark.parametrize("stopped", STOPPED.values(), ids=STOPPED)
def test_what_stopped_the_pod_is_named(cluster: Cluster, stopped: Stopped) -> None:
    cluster.starts, cluster.node, cluster.phase = [[]], stopped.node, stopped.status
    cluster.events = stopped.events
    cluster.node_conditions = [
        {"type": "DiskPressure", "status": "False"},
        {"type": "Ready"} | stopped.ready,
    ]
    with pytest.raises(ProbeError) as failed:
        cluster.probe(seconds=20)
    assert type(failed.value) is ProbeError, "not a SilenceError, after which hops are judged"
    said = str(failed.value)
    assert len(said.splitlines()) == 1
    assert "pod default/trace-probe-" in said
    for text in stopped.told:
        assert text in said
    assert said.endswith(NO_CONCLUSION)
    assert cluster.pods == []


@pytest.mark.parametrize("stopped", STOPPED.values(), ids=STOPPED)
def test_a_start_that_fails_is_named_though_it_left_a_trace(
    cluster: Cluster, stopped: Stopped
) -> None:
    cluster.starts, cluster.node, cluster.phase = [[joined()]], stopped.node, stopped.status
    cluster.events, cluster.node_conditions = stopped.events, [{"type": "Ready"} | stopped.ready]
    with pytest.raises(ProbeError) as failed:
        cluster.probe(seconds=3)
    said = str(failed.value)
    assert len(said.splitlines()) == 1
    for text in stopped.told:
        assert text.removeprefix("did not run on node n1: ") in said


def test_what_cannot_be_read_is_left_out(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user may create pods, and not read Events and nodes."""
    cluster.starts, cluster.node = [[]], "n1"
    cluster.phase = pending(waiting("ContainerCreating"))
    monkeypatch.setattr(pod_watch, "_items", lambda *_: [])
    with pytest.raises(ProbeError, match=r"did not run on node n1: Pending, ContainerCreating\. "):
        cluster.probe(seconds=1)


def test_a_pod_that_somebody_deleted_is_told_at_once(cluster: Cluster, clock: Clock) -> None:
    cluster.starts, cluster.node = [[]], "n1"
    cluster.phase = pending(waiting("ContainerCreating"))
    begin = clock.now

    def deleted() -> None:
        cluster.gone = clock.now - begin > 3

    clock.while_sleeping = deleted
    with pytest.raises(ProbeError) as failed:
        cluster.probe(seconds=60)
    assert type(failed.value) is ProbeError
    assert "was deleted before it was seen to run" in str(failed.value)
    assert "seen last: Pending, ContainerCreating. " in str(failed.value)
    assert clock.now - begin < 6


def test_a_pod_that_ran_and_was_deleted_is_no_excuse_for_silence(
    cluster: Cluster, clock: Clock
) -> None:
    cluster.starts, cluster.node = [[]], "n1"
    begin = clock.now

    def deleted() -> None:
        cluster.gone = clock.now - begin > 3

    clock.while_sleeping = deleted
    with pytest.raises(SilenceError, match="no trace of kubelet and containerd"):
        cluster.probe(demanded=ALL, seconds=6)
