"""``ktrace show`` of every kind of start: what is complete, what it waits for, and why."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.ktrace import Start, all_there, complete, show, shown, waiting, whole
from tests.live.pods import BUSYBOX, PULL_SECONDS, pods, wait_for_api
from tests.live.stack import Stack
from tests.live.waiting import until

MANIFEST = Path(__file__).with_name("pod_kinds.yaml").read_text().replace("BUSYBOX", BUSYBOX)
NOT_THE_FIRST = "Ready now; when it was for the first time is not known"


@pytest.fixture(scope="module")
def kinds(_stack: Stack) -> Iterator[Stack]:
    """A stack with the pods of pod_kinds.yaml, all created at once."""
    _stack.settle()
    wait_for_api(_stack)
    apply(_stack)
    yield _stack
    _stack.kubectl("delete", "-f", "-", "--now", "--wait=false", stdin=MANIFEST, check=False)


def apply(stack: Stack) -> None:
    """Creates those of the pods that are not there."""
    stack.kubectl("apply", "-f", "-", stdin=MANIFEST)


def started(start: Start) -> dict[str, bool]:
    return {container["name"]: container["started"] for container in start["containers"]}


def names(start: Start) -> list[str]:
    return [step["name"] for step in (*start["steps"], *start["ready"]["steps"])]


def took(start: Start, beginning: str) -> float:
    """Milliseconds of all steps whose names begin so."""
    steps = (*start["steps"], *start["ready"]["steps"])
    own = [step for step in steps if step["name"].startswith(beginning)]
    return sum((float(step["durationMs"]) for step in own), 0.0)


# Before the others, which take longer than its handler.
def test_a_post_start_handler_is_told_while_it_runs_and_measured_after(kinds: Stack) -> None:
    running = shown(kinds, "post-start", lambda start: "postStart of main" in waiting(start))
    assert started(running) == {"main": True, "after": False}
    start = shown(kinds, "post-start", whole)
    assert started(start) == {"main": True, "after": True}
    assert 8000 <= took(start, "postStart of main") < 12_000


WAITING = {
    "missing-secret": ({"first": True, "second": False}, "second: CreateContainerConfigError: "),
    "missing-volume": ({"main": False}, "waiting for a volume: MountVolume.SetUp failed"),
    "unpullable": ({"main": True, "other": False}, "other: "),
    "unschedulable": ({"main": False}, "unschedulable: 0/1 nodes are available"),
}  # fmt: skip


@pytest.mark.parametrize("pod", WAITING)
def test_a_start_that_cannot_go_on_says_what_it_waits_for(kinds: Stack, pod: str) -> None:
    containers, why = WAITING[pod]
    start = shown(
        kinds, pod, lambda start: started(start) == containers and waiting(start).startswith(why)
    )
    assert not start["complete"]
    assert start["ready"]["afterMs"] is None
    assert all(entry["stuck"] for entry in start["waitingFor"])


FILLED = {
    "missing-secret": "waits (CreateContainerConfigError): secret",
    "missing-volume": "waiting for a volume: MountVolume.SetUp failed",
    "unpullable": "waits (",
    "unschedulable": "unschedulable: 0/1 nodes are available",
}


@pytest.mark.parametrize("pod", FILLED)
def test_the_time_after_the_last_call_has_the_name_of_the_error(kinds: Stack, pod: str) -> None:
    shown(kinds, pod, lambda start: took(start, FILLED[pod]) > start["unexplainedMs"])


def test_init_container_sidecar_and_app_are_one_start(kinds: Stack) -> None:
    start = shown(kinds, "init-sidecar-app", whole)
    assert [(found["name"], found["kind"]) for found in start["containers"]] == [
        ("prepare", "init container"), ("proxy", "sidecar"), ("app", "container"),
    ]  # fmt: skip
    assert took(start, "init container prepare runs") >= 1000
    assert took(start, "start-up probe of sidecar proxy") >= 1000
    assert not any("postStart" in name for name in names(start))


def test_what_lies_between_the_start_and_ready_is_the_readiness_probe(kinds: Stack) -> None:
    def told(start: Start) -> bool:
        return whole(start) or start["ready"]["note"] == NOT_THE_FIRST

    start = shown(kinds, "slow-ready", told)
    for _ in range(2):
        if start["ready"]["note"] == NOT_THE_FIRST:
            # A kubelet with much to do has reported once more: another pod may be luckier.
            kinds.kubectl("delete", "pod", "slow-ready", "--now")
            apply(kinds)
            start = shown(kinds, "slow-ready", told)
    (probe,) = start["ready"]["steps"]
    assert probe["name"] == "readiness probe of web"
    assert start["ready"]["afterMs"] - start["durationMs"] >= 2000
    assert not any("postStart" in name for name in names(start))


def test_crashes_come_after_the_start(kinds: Stack) -> None:
    def restarts(start: Start) -> int:
        told = re.search(r"restarted (\d+) time", " ".join((waiting(start), *start["notes"])))
        return int(told[1]) if told else 0

    once = shown(kinds, "crash-loop", lambda start: all_there(start) and restarts(start) >= 1)
    twice = shown(kinds, "crash-loop", lambda start: all_there(start) and restarts(start) >= 2)
    assert names(twice).count("start container main") == 1
    assert twice["durationMs"] == once["durationMs"]


def test_a_container_that_ended_well_is_why_its_pod_is_not_ready(kinds: Stack) -> None:
    told = re.compile(r"not Ready: main: Completed, exit code 0, restarted \d+ time")
    shown(kinds, "completed", lambda start: complete(start) and bool(told.match(waiting(start))))


def test_a_debug_container_is_no_part_of_the_start(stack: Stack) -> None:
    with pods(stack, "sleep", "300") as single:
        pod = f"{single.name}-0"
        start = shown(stack, pod, whole)
        debug = (f"--image={BUSYBOX}", "--container=debugger", "--", "sleep", "300")
        stack.kubectl("debug", pod, *debug)
        running = (
            "get",
            "pod",
            pod,
            "-o",
            "jsonpath={.status.ephemeralContainerStatuses[*].state.running}",
        )
        until("the debug container", lambda: stack.kubectl(*running), PULL_SECONDS)
        again = shown(stack, pod, whole)
        assert started(again) == {"main": True}
        assert again["durationMs"] == start["durationMs"]
        assert again["steps"] == start["steps"]


def _sleeping(name: str) -> str:
    """The manifest of a pod."""
    return json.dumps({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
        "spec": {
            "terminationGracePeriodSeconds": 0,
            "containers": [{"name": "main", "image": BUSYBOX, "command": ["sleep", "300"]}],
        },
    })  # fmt: skip


def test_a_pod_that_was_created_again_is_a_start_of_its_own(stack: Stack) -> None:
    manifest = _sleeping("again")
    try:
        starts = []
        for _ in range(2):
            stack.kubectl("apply", "-f", "-", stdin=manifest)
            starts.append(shown(stack, "again", whole))
            stack.kubectl("delete", "pod", "again", "--now")
        assert starts[0]["uid"] != starts[1]["uid"]
        assert starts[0]["startedAt"] < starts[1]["startedAt"]
        assert starts[1]["containersStarted"] == 1
        gone = show(stack, "again")
        assert (gone["uid"], gone["complete"]) == (starts[1]["uid"], False)
    finally:
        stack.kubectl("delete", "pod", "again", "--now", check=False)


@pytest.fixture
def static_pod(stack: Stack) -> Iterator[str]:
    """A pod that the kubelet itself reads from a file, where k3s has its static pods."""
    file = "/var/lib/rancher/k3s/agent/pod-manifests/static.json"
    manifest = _sleeping("static")
    write = ("sh", "-c", 'printf %s "$1" > "$2"', "write", manifest, file)
    stack.docker("exec", stack.server, *write)
    try:
        yield f"static-{stack.server}"
    finally:
        stack.docker("exec", stack.server, "rm", file)


def test_a_static_pod_starts_without_the_api_server(stack: Stack, static_pod: str) -> None:
    def mirror() -> str:
        uid = ("get", "pod", static_pod, "-o", "jsonpath={.metadata.uid}")
        return stack.kubectl(*uid, check=False)

    start = shown(stack, static_pod, whole)
    assert started(start) == {"main": True}
    assert {step["component"] for step in start["steps"]} <= {"kubelet", "containerd"}
    first = mirror()
    stack.kubectl("delete", "pod", static_pod, "--now", "--wait=false")
    until("another mirror of the pod", lambda: mirror() not in ("", first), PULL_SECONDS)
    again = shown(stack, static_pod, complete)
    assert (again["startedAt"], again["steps"]) == (start["startedAt"], start["steps"])


def test_the_node_of_an_agent_s_pod_is_told(two_nodes: Stack) -> None:
    agent = f"k3d-{two_nodes.cluster}-agent-0"
    with pods(two_nodes, "sleep", "300", nodeName=agent) as single:
        start = shown(two_nodes, f"{single.name}-0", whole)
        assert start["node"] == agent
        nodes = {(step["component"], step["node"]) for step in start["steps"]}
        assert {("kubelet", agent), ("containerd", agent), ("apiserver", None)} <= nodes
        assert {node for component, node in nodes if component in ("kubelet", "containerd")} == {
            agent
        }
