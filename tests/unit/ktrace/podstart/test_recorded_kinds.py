"""Every kind of start as a real Jaeger and API server told it (Kubernetes 1.34.4, 1.36.3, 1.37.2).

The pods are those of tests/e2e/pod_kinds.yaml, one with a debug container, one that was made again
under its name, one that a webhook held up, and a static one. The others were made by what was done
to their node: a network without an address left, none at all, a kubelet that was stopped, a
threshold of eviction above its free disk; or by a pod of a higher priority. Those that fail in
other ways, such as an init container that succeeds at the fourth attempt, are named after that.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from ktrace.components import CONTAINERD, KUBELET
from ktrace.podstart import search
from ktrace.podstart.model import PodStart
from ktrace.view import terminal, waterfall
from tests import golden
from tests.fakes import recorded_pods
from tests.fakes.clock import Clock

VERSIONS = ("v1.34", "v1.36", "v1.37")
ONE = ("v1.36",)
VOLUMES = "the volume manager looks every 300 ms"
PROBE = "start-up probe of sidecar proxy"
AGAIN = "waits until the kubelet tries again (FailedCreatePodSandBox)"


@dataclass(frozen=True)
class Said:
    """What has to be said of a start: the beginnings of names, or whole ones."""

    started: str
    """Of the containers, such as ``1 of 2``."""
    steps: tuple[str, ...] = ()
    waiting: str = ""
    after: tuple[str, ...] = ()
    """The steps between the last start and Ready."""
    ready_at_once: bool = False
    """Whether it was Ready in the second of its last start."""
    complete: bool = False
    versions: tuple[str, ...] = VERSIONS
    """Those that it was recorded on."""


KINDS = {
    "missing-secret": Said(
        "1 of 2",
        ("start container first", "waits (CreateContainerConfigError): secret"),
        'second: CreateContainerConfigError: secret "absent" not found',
    ),
    "missing-volume": Said(
        "0 of 1",
        ('waiting for a volume: MountVolume.SetUp failed for volume "data"',),
        "waiting for a volume: MountVolume.SetUp failed",
    ),
    "unpullable": Said(
        "1 of 2",
        ("start container main", "pull registry.invalid/none:1", "waits ("),
        "other: ",
    ),
    "unschedulable": Said(
        "0 of 1",
        ("unschedulable: 0/1 nodes are available",),
        "unschedulable: 0/1 nodes are available",
    ),
    "init-sidecar-app": Said(
        "3 of 3",
        (
            "start container prepare",
            "init container prepare runs, then the kubelet's next sync",
            "start container proxy",
            "start-up probe of sidecar proxy",
            "start container app",
        ),
        after=("the kubelet reports that the pod is Ready",),
        complete=True,
    ),
    "post-start-running": Said(
        "1 of 2", ("start container main",), "postStart of main has not been seen to end"
    ),
    "post-start": Said(
        "2 of 2",
        ("start container main", "postStart of main", "start container after"),
        after=("the kubelet reports that the pod is Ready",),
        complete=True,
    ),
    "slow-ready": Said(
        "1 of 1", ("start container web",), after=("readiness probe of web",), complete=True
    ),
    "crash-loop": Said("1 of 1", ("start container main",), complete=True),
    "debugged": Said(
        "1 of 1",
        ("start container main",),
        after=("the kubelet reports that the pod is Ready",),
        complete=True,
    ),
    "recreated": Said(
        "1 of 1",
        ("create request", "start container main"),
        after=("the kubelet reports that the pod is Ready",),
        complete=True,
    ),
    "webhook-open": Said(
        "1 of 1",
        ("create request", "start container main"),
        after=("the kubelet reports that the pod is Ready",),
        complete=True,
    ),
    "static": Said(
        "1 of 1",
        ("sandbox", "start container main"),
        ready_at_once=True,
        complete=True,
        versions=ONE,
    ),
    "no-address": Said(
        "0 of 1",
        (VOLUMES, "sandbox", AGAIN, "sandbox", AGAIN, "sandbox", "no sandbox: Failed to create"),
        "no sandbox: Failed to create pod sandbox: rpc error",
        versions=ONE,
    ),
    "address-free": Said(
        "1 of 1",
        (VOLUMES, *("sandbox", AGAIN) * 4, "sandbox", "create container", "start container main"),
        after=("the kubelet reports that the pod is Ready",),
        complete=True,
        versions=ONE,
    ),
    "no-cni": Said(
        "1 of 1",
        ("waits (NetworkNotReady): network is not ready", "sandbox", "start container main"),
        after=("the kubelet reports that the pod is Ready",),
        complete=True,
        versions=ONE,
    ),
    "kubelet-silent": Said(
        "0 of 1",
        ("create request", "not traced", "node k3d-traced-leadp-server-0 is not Ready: "),
        "node k3d-traced-leadp-server-0 is not Ready: NodeStatusUnknown: Kubelet stopped",
        versions=ONE,
    ),
    "over-its-limit": Said(
        "1 of 2",
        ("sandbox", "start container fill"),
        'the pod has failed: Evicted: Usage of EmptyDir volume "data" exceeds the limit "1Mi".',
        versions=ONE,
    ),
    "disk-pressure-on-node": Said(
        "0 of 1",
        ("create request",),
        "the pod has failed: Evicted: Pod was rejected: The node had condition: [DiskPressure].",
        versions=ONE,
    ),
    "preempted": Said(
        "0 of 1",
        ("sandbox", "waits (ErrImageNeverPull): "),
        "the pod is being deleted",
        versions=ONE,
    ),
    "preempting": Said(
        "1 of 1",
        ("unschedulable: 0/1 nodes are available: 1 Insufficient cpu", "bind", VOLUMES, "sandbox"),
        after=("the kubelet reports that the pod is Ready",),
        complete=True,
        versions=ONE,
    ),
    "init-then-error": Said(
        "1 of 2",
        (
            "start container slow",
            "init container slow runs, then the kubelet's next sync",
            "waits (CreateContainerConfigError): couldn't find key absent",
        ),
        "main: CreateContainerConfigError: couldn't find key absent in ConfigMap default/settings",
        versions=ONE,
    ),
    "flaky-init": Said(
        "2 of 2",
        (
            "start container flaky",
            "init container flaky runs and fails, then the kubelet's next sync",
            "start container flaky",
            "init container flaky runs, then the kubelet's next sync",
            "waits (CrashLoopBackOff): back-off 10s",
            "start container flaky",
            "init container flaky runs, then the kubelet's next sync",
            "waits (CrashLoopBackOff): back-off 20s",
            "start container flaky",
            "init container flaky runs, then the kubelet's next sync",
            "start container main",
        ),
        after=("the kubelet reports that the pod is Ready",),
        complete=True,
        versions=ONE,
    ),
    "bad-sidecar": Said(
        "1 of 2",
        ("start container proxy", *(f"{PROBE}: Startup probe failed: cat", "waits (Crash") * 3),
        "proxy: CrashLoopBackOff, restarted 5 times: back-off 1m20s restarting failed "
        "container=proxy "
        "pod=bad-sidecar_default(a92bf0e9-36e3-4c71-a5b7-9a98d010f740); it last ended with Error, "
        "exit code 137: Init container proxy failed startup probe",
        versions=ONE,
    ),
    "bad-post-start": Said(
        "1 of 1",
        ("start container main",),
        "not Ready: main: CrashLoopBackOff, restarted 4 times: back-off 1m20s restarting failed "
        "container=main "
        "pod=bad-post-start_default(8e410441-3a4d-4969-beb5-074077c7d24e); it last ended with "
        "Error, exit code 137: FailedPostStartHook",
        after=("postStart of main",),
        complete=True,
        versions=ONE,
    ),
    "no-command": Said(
        "0 of 1",
        ("create container main", "start container main", "waits (CrashLoopBackOff): back-off 10s"),
        "main: RunContainerError: failed to create containerd task",
        versions=ONE,
    ),
    "own-scheduler": Said(
        "0 of 1",
        ("create request", "waiting for scheduler mine"),
        "waiting for scheduler mine",
        versions=ONE,
    ),
}
KINDS |= {
    "on-agent": Said(
        "2 of 2",
        (
            "bind to a node",
            VOLUMES,
            "sandbox",
            "init container prepare runs",
            "start container main",
        ),
        after=("postStart of main",),
        complete=True,
        versions=ONE,
    ),
    "held-pull": Said(
        "1 of 1",
        (
            "sandbox",
            "waits for the pull of localhost:5000/first:1 by default/pulls-first",
            "pull localhost:5000/second:1",
            "start container main",
        ),
        after=("the kubelet reports that the pod is Ready",),
        complete=True,
        versions=ONE,
    ),
}
"""Of a cluster of two nodes, on both of which an image was pulled, one image after the other."""
RECORDED = [(version, kind) for kind, said in KINDS.items() for version in said.versions]

WITHOUT_SYNCS = {
    "missing-volume",
    "unschedulable",
    "post-start-running",
    "kubelet-silent",
    "disk-pressure-on-node",
    "own-scheduler",
}
"""Kinds of which Jaeger has no ended syncPod: without the pod object nothing is known."""

WITHOUT_NODE = {"unschedulable", "own-scheduler"}
ON_AGENT = dict.fromkeys(("on-agent", "held-pull"), "-agent-0")
SNAPSHOTS = Path(__file__).resolve().parent / "snapshots"


@pytest.fixture(params=RECORDED, ids="/".join)
def recording(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> recorded_pods.Recorded:
    found = recorded_pods.load(*request.param)
    Clock(found.now / 1e6).drive(monkeypatch, search)
    return found


def top(start: PodStart) -> list[str]:
    return [step.name for step in start.steps if step.depth == 0]


def test_a_start_of_each_kind_is_told(recording: recorded_pods.Recorded) -> None:
    start, said = recording.start(), KINDS[recording.kind]
    assert start
    assert f"{start.started} of {start.wanted}" == said.started
    assert start.complete is said.complete
    found = iter(top(start))
    for beginning in said.steps:
        assert any(name.startswith(beginning) for name in found), (beginning, top(start))
    assert "; ".join(waiting.what for waiting in start.waiting).startswith(said.waiting)
    assert tuple(step.name for step in start.ready.steps) == said.after
    is_ready = said.ready_at_once or (bool(said.after) and not said.waiting)
    assert (start.ready.after_ms is not None) is is_ready
    node = "" if recording.kind in WITHOUT_NODE else ON_AGENT.get(recording.kind, "-server-0")
    assert start.node.endswith(node)
    assert bool(start.node) is bool(node)


def test_only_a_handler_is_called_one(recording: recorded_pods.Recorded) -> None:
    """The exec probes of the other kinds have the first sync as their parent, too."""
    has_handler = recording.kind.startswith("post-start")
    for start in filter(None, (recording.start(), recording.start(with_cluster=False))):
        assert any("postStart" in name for name in top(start)) is has_handler


def test_without_the_pod_object_no_start_is_called_complete(
    recording: recorded_pods.Recorded,
) -> None:
    start = recording.start(with_cluster=False)
    assert (start is None) is (recording.kind in WITHOUT_SYNCS)
    if start:
        assert not start.complete
        assert start.incomplete or "whether more were wanted is not known" in waterfall.title(start)


@pytest.mark.parametrize("version", VERSIONS)
def test_what_came_before_and_after_a_start_is_no_part_of_it(
    version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(kind: str, *, with_cluster: bool = True) -> PodStart:
        found = recorded_pods.load(version, kind)
        Clock(found.now / 1e6).drive(monkeypatch, search)
        shown = found.start(with_cluster=with_cluster)
        assert shown
        assert shown.uid == found.pod["metadata"]["uid"]
        return shown

    again = start("recreated")
    assert again.duration_ms < 2000, "the pod of before began seconds earlier"
    debugged = start("debugged", with_cluster=False)
    assert debugged.started == 1
    assert debugged.duration_ms == start("debugged").duration_ms
    assert any("kubectl debug" in note for note in debugged.notes)
    (webhook,) = [step for step in start("webhook-open").steps if step.name.startswith("webhook")]
    assert webhook.name == "webhook slow.example.com, failed open"
    assert 1000 <= webhook.duration_ms < 1500
    assert "deadline exceeded" in webhook.error
    assert webhook.critical


@pytest.mark.parametrize("kind", ON_AGENT)
def test_every_line_of_an_agents_pod_is_as_it_was(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = recorded_pods.load("v1.36", kind)
    Clock(found.now / 1e6).drive(monkeypatch, search)
    start = found.start()
    assert start
    table = terminal.plain(waterfall.table(start, terminal.PIPE_WIDTH))
    lines = [waterfall.title(start), *table.splitlines(), *waterfall.summary(start)]
    golden.check(SNAPSHOTS / f"{kind}.txt", "".join(f"{line.rstrip()}\n" for line in lines))


def test_the_steps_of_a_pod_on_an_agent_are_all_of_that_node(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The server pulled an image at the same time, which held nothing up on the agent."""
    found = recorded_pods.load("v1.36", "held-pull")
    Clock(found.now / 1e6).drive(monkeypatch, search)
    assert "default/pulls-elsewhere" in json.dumps(found.traces)
    start = found.start()
    assert start
    own = {step.node for step in start.steps if step.component in (KUBELET, CONTAINERD)}
    assert own == {start.node}
    assert not any("elsewhere" in name for name in top(start))


def test_a_static_pod_is_the_kubelet_s_own(monkeypatch: pytest.MonkeyPatch) -> None:
    found = recorded_pods.load("v1.36", "static")
    Clock(found.now / 1e6).drive(monkeypatch, search)
    start = found.start()
    assert start
    assert {step.component for step in start.steps} == {KUBELET, CONTAINERD}
    assert start.uid == found.pod["metadata"]["annotations"]["kubernetes.io/config.hash"]
