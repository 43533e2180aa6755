"""SIGKILL of the engine, with or without its children, of k3d or dockerd in every phase.

No cluster is lost, and nothing is forgotten.

The cure is what a user does: `pulumi cancel` where a lock is left, then `up` or `destroy`, at once,
while processes of the killed run may still be at work.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.live import daemon
from tests.live.fixtures import stack_in
from tests.live.pods import a_bare_pod, expect_a_pod_to_run, pods, wait_for_api
from tests.live.stack import UP_SECONDS, Stack
from tests.live.waiting import until
from tests.soak import kills, phases
from tests.soak.kills import Case, Settings, Victim

pytestmark = pytest.mark.timeout(900)

_ORPHAN_SECONDS = 300.0
"""How long k3d may work on after the death of its engine."""
_RESTART_SECONDS = 120.0
_REGISTRY_PORT = 5999
"""On Docker's loopback, where it asks a registry without certificates."""
_LEFT_TO_DOCKER = "held by Docker, though no container has it"
"""Its cure is to restart Docker."""
_OF_NODES: set[str] = set()
"""The volumes of all nodes that were whole once: they have no label. Docker that is killed while it
creates a node may leave empty ones, of which nothing tells whose they are."""
_REHEARSED = "the new configuration starts, so it is replaced now"


@pytest.fixture(scope="module")
def _stack(tmp_path_factory: Any, environ: dict[str, str]) -> Iterator[Stack]:
    with stack_in(tmp_path_factory.mktemp("kills"), environ, traceProbe=False) as stack:
        yield stack
        if stack.state:
            stack.destroy()
        assert _OF_NODES.isdisjoint(stack.docker.volumes())


@pytest.fixture
def stack(_stack: Stack) -> Iterator[Stack]:
    """A stack in any state, on which no process of an earlier test works."""
    yield _stack
    _stack.end_orphans()
    _stack.unlock()


@pytest.fixture
def absent(stack: Stack) -> Stack:
    stack.configure()
    if stack.left_overs() or stack.state:
        stack.destroy()
    return stack


def stand(stack: Stack, before: Settings) -> None:
    """Up without pending changes, with ``before``; whichever cluster there is stays."""
    stack.settle(**phases.of_the_cluster(stack.config), **before)
    note_volumes(stack)


def cure(stack: Stack, command: str) -> None:
    stack.unlock()
    {"up": up_ends_whole, "destroy": destroy_leaves_nothing}[command](stack)


def up_ends_whole(stack: Stack) -> None:
    run = stack.start("up", "--yes", "--skip-preview").wait(UP_SECONDS)
    if _LEFT_TO_DOCKER in run.said:
        daemon.kill_and_restart()
        run = stack.up()
    run.succeeded()
    for name in (stack.jaeger, stack.collector, stack.server):
        assert stack.docker.running(name)
    expect_a_pod_to_run(stack)
    stack.expect_no_changes()
    agents = {f"container {phases.agent(stack)}"} if "agents" in stack.config else set()
    traces = {f"volume {stack.cluster}-traces"} if "traceStore" in stack.config else set()
    assert stack.objects() == agents | traces | {
        f"network {stack.cluster}",
        f"container {stack.jaeger}",
        f"container {stack.collector}",
        f"container {stack.server}",
        f"volume k3d-{stack.cluster}-images",
    }
    assert phases.probes_pods(stack) == []
    note_volumes(stack)


def note_volumes(stack: Stack) -> None:
    """Of nodes that all have what their image declares: no pod would start on one that has not."""
    for node in stack.docker.containers(f"label=k3d.cluster={stack.cluster}"):
        found = stack.docker.inspect(node)
        volumes = [mount for mount in found["Mounts"] if mount["Type"] == "volume"]
        _OF_NODES.update(mount["Name"] for mount in volumes)
        assert {*found["Config"]["Volumes"]} <= {mount["Destination"] for mount in found["Mounts"]}


def destroy_leaves_nothing(stack: Stack) -> None:
    stack.destroy()
    expect_rest(stack)
    assert stack.left_overs() == set()
    assert stack.state == {}


def expect_rest(stack: Stack) -> None:
    """Waits until nothing works on the stack: what works on could still change it."""
    until("the end of the orphaned processes", lambda: not kills.at_work(stack), _ORPHAN_SECONDS)


@contextmanager
def pods_on_the_agent(stack: Stack) -> Iterator[None]:
    """Something that a drain has to wait for, where the stack has an agent."""
    if "agents" not in stack.config:
        yield
        return
    spec: dict[str, Any] = {"nodeName": phases.agent(stack), "terminationGracePeriodSeconds": 8}
    with pods(stack, "sleep", "3600", **spec) as slow:
        slow.wait_for("Running")
        yield


@contextmanager
def a_silent_registry(stack: Stack) -> Iterator[str]:
    """An image whose registry takes connections and never answers: Docker waits 10 s or longer."""
    name, image = f"registry-of-{stack.name}", stack.docker.inspect(stack.server)["Config"]["Image"]
    options = ("--detach", "--name", name, "--network", "host", "--entrypoint", "sh")
    listen = f"sleep 3600 | busybox nc -l -p {_REGISTRY_PORT}"  # nc ends with its stdin
    stack.docker("run", *options, image, "-c", listen)
    listens = ("exec", name, "grep", f":{_REGISTRY_PORT:04X} ", "/proc/net/tcp", "/proc/net/tcp6")
    try:
        until("a registry that listens", lambda: stack.docker(*listens, check=False), 30)
        yield f"localhost:{_REGISTRY_PORT}/k3s:v{{version}}"
    finally:
        stack.docker("rm", "-fv", name)


@pytest.mark.cases("case", phases.UP, 1)
def test_after_a_kill_in_an_up_the_cure_ends_well(absent: Stack, case: Case) -> None:
    kills.interrupt(absent, case)
    cure(absent, case.cure)


@pytest.mark.cases("case", phases.DESTROY, 1)
def test_after_a_kill_in_a_destroy_the_cure_ends_well(stack: Stack, case: Case) -> None:
    stand(stack, case.phase.before)
    kills.interrupt(stack, case)
    cure(stack, case.cure)


@pytest.mark.cases("case", phases.REPLACEMENT, 1)
def test_after_a_kill_in_a_replacement_the_cure_ends_well(stack: Stack, case: Case) -> None:
    stand(stack, case.phase.before)
    before = stack.ids()
    with a_bare_pod(stack) as pod:
        uid, restarts = pod()
        stack.configure(**case.phase.wanted(stack))
        said = kills.interrupt(stack, case).said
        assert not (case.phase.old_cluster and _REHEARSED in said)
        assert case.phase.old_cluster or _REHEARSED in said
        if case.phase.old_cluster:
            expect_rest(stack)
            now = stack.ids()
            assert {name: now.get(name) for name in before} == before
            wait_for_api(stack)
            restarted = int(case.victim is Victim.DOCKERD)
            until("the bare pod", lambda: pod() == (uid, restarts + restarted), _RESTART_SECONDS)
    cure(stack, case.cure)


@pytest.mark.cases("case", phases.PULL, 1)
def test_after_a_kill_in_a_pull_for_the_first_up_the_cure_ends_well(
    stack: Stack, case: Case
) -> None:
    stand(stack, {})
    with a_silent_registry(stack) as image:
        stack.destroy()
        stack.configure(k3sImage=image)
        kills.interrupt(stack, case)
    stack.configure()
    cure(stack, case.cure)


@pytest.mark.cases("case", phases.PULL, 1)
def test_after_a_kill_in_a_pull_for_a_replacement_the_cluster_stays(
    stack: Stack, case: Case
) -> None:
    stand(stack, {})
    before, config = stack.ids(), phases.of_the_cluster(stack.config)
    with a_bare_pod(stack) as pod:
        uid, _ = pod()
        with a_silent_registry(stack) as image:
            stack.configure(**config, k3sImage=image)
            kills.interrupt(stack, case)
        assert stack.ids() == before
        stack.configure(**config)
        cure(stack, case.cure)
        if case.cure == "up":
            assert stack.ids() == before
            assert pod()[0] == uid


@pytest.mark.cases("case", phases.IN_PLACE, 1)
def test_after_a_kill_in_a_change_in_place_the_cure_loses_nothing(stack: Stack, case: Case) -> None:
    stand(stack, case.phase.before)
    kept = {name: id for name, id in stack.ids().items() if name != phases.agent(stack)}
    with a_bare_pod(stack) as pod:
        uid, _ = pod()
        with pods_on_the_agent(stack):
            stack.configure(**phases.of_the_cluster(stack.config), **case.phase.wanted(stack))
            kills.interrupt(stack, case)
            assert kept.items() <= stack.ids().items()
            cure(stack, case.cure)
        if case.cure == "up":
            assert kept.items() <= stack.ids().items()
            assert pod()[0] == uid


def test_a_run_that_outlived_its_stack_leaves_the_next_one_alone(absent: Stack) -> None:
    kills.interrupt(absent, phases.OUTLIVED)
    absent.unlock()
    with kills.asleep(absent, "runtime_observability.host.ensure"):
        absent.destroy()
        absent.up()
        cluster = absent.ids()[absent.server]
    expect_rest(absent)
    up_ends_whole(absent)
    assert absent.ids()[absent.server] == cluster
