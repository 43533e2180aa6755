"""Badger keeps traces when Jaeger restarts and, with keepTraces, when the stack goes."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator

import pytest

from tests.e2e.kept import destroy_and_find_again
from tests.e2e.ktrace import Start, ktrace, of_spans, shown, whole
from tests.live import traces
from tests.live.pods import pods, wait_for_api
from tests.live.stack import Stack
from tests.live.waiting import until

BADGER = {"traceStore": "badger", "traceRetention": "7d"}


@pytest.fixture
def badger(stack: Stack) -> Iterator[Stack]:
    """The default stack with another store; its volume goes with the test."""
    nodes = stack.docker.containers(f"label=k3d.cluster={stack.cluster}")
    said = stack.start("preview").wait(60).succeeded().said
    assert "traceStore" not in said
    stack.settle(**BADGER)
    assert stack.docker.containers(f"label=k3d.cluster={stack.cluster}") == nodes
    yield stack
    stack.settle(**BADGER)
    stack.settle()
    assert not stack.docker.volumes(f"name=traced-{stack.name}-traces")


def start_of(stack: Stack) -> tuple[str, Start]:
    with pods(stack, "sleep", "300") as single:
        pod = f"{single.name}-0"
        return pod, shown(stack, pod, whole)


def test_traces_outlive_jaeger_and_then_the_cluster(badger: Stack) -> None:
    stack = badger
    with pods(stack, "sleep", "300") as single:
        pod = f"{single.name}-0"
        before = shown(stack, pod, whole)
        stack.docker("kill", stack.jaeger)
        stack.docker("start", stack.jaeger)
        until("an answer from Jaeger", lambda: traces.answers(stack.jaeger_url), 60)
        assert of_spans(shown(stack, pod, whole)) == of_spans(before)
        assert_a_crash_is_told(stack)

    destroy_and_find_again(stack, BADGER, f"traced-{stack.name}-traces", pod, before)
    _, new = start_of(stack)
    assert new["complete"]


def test_kept_traces_outlive_another_store_and_a_destroy(badger: Stack) -> None:
    stack, volume = badger, f"traced-{badger.name}-traces"
    stack.settle(**BADGER, keepTraces=True)
    pod, before = start_of(stack)
    stack.configure()  # keepTraces cannot be on with memory
    announced = f"then it stays, also at destroy, until `docker volume rm {volume}`"
    assert announced in " ".join(stack.up().said.split())
    assert f"its traces stay in Docker's volume {volume}" in stack.destroy().said
    assert stack.objects() == {f"volume {volume}"}
    stack.configure(**BADGER)
    assert f"keeps on using volume {volume}" in stack.up().said
    wait_for_api(stack)
    found = shown(stack, pod, lambda start: start["containersStarted"] == 1)
    assert (found["uid"], found["startedAt"]) == (before["uid"], before["startedAt"])


def assert_a_crash_is_told(stack: Stack) -> None:
    image = stack.docker(
        "inspect", "--format", "{{.Config.Image}}", f"k3d-{stack.cluster}-server-0"
    )
    within = ("--rm", "--user=0", "--network=none", f"--pid=container:{stack.jaeger}")
    stack.docker("run", *within, "--entrypoint=sh", image, "-c", "kill -SEGV 1")
    until("an answer from Jaeger", lambda: traces.answers(stack.jaeger_url), 60)
    verified = ktrace(stack, "verify", "--json", "--stack", stack.name)
    (found,) = json.loads(verified.stdout)["restarts"]
    assert (found["container"], found["times"], found["running"]) == (stack.jaeger, 1, True)
    assert (found["exitCode"], found["lastError"]) == (2, "SIGSEGV: segmentation violation")
    assert "spans may be lost: Docker restarted Jaeger once, at " in stack.up().said


@pytest.mark.every_store
def test_a_jaeger_that_ran_out_of_memory_is_told(stack: Stack) -> None:
    """A thousand traces fit by their number; these are too large."""
    stack.settle(jaegerMemoryMiB=128, jaegerMaxTraces=1000)
    pod, _ = start_of(stack)
    endpoint = stack.outputs["otlpHttpEndpoint"]

    def restarts() -> int:
        traces.send(endpoint, "large", secrets.token_hex(250_000))
        return int(stack.docker("inspect", "--format", "{{.RestartCount}}", stack.jaeger))

    with stack.disturbed():
        until("a Jaeger that Docker has restarted", restarts, 180, every=0.3)
        until("an answer from Jaeger", lambda: traces.answers(stack.jaeger_url), 60)
        lost = show_error(stack, pod)
        assert "Jaeger restarted at" in lost
        assert "Docker restarted Jaeger once, at " in lost
        assert ": it ran out of memory (exit code 137). Raise jaegerMemoryMiB" in lost
        assert "traces are lost: Jaeger restarted at" in stack.up().said


def show_error(stack: Stack, pod: str) -> str:
    shown = ktrace(stack, "show", pod, "--timeout", "0", "--stack", stack.name)
    assert shown.returncode == 1, shown.stdout
    return " ".join((shown.stdout + shown.stderr).split())
