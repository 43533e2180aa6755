"""SIGKILL of the engine, k3d or dockerd in every phase: no cluster is lost, nothing is forgotten.

The cure is what a user does: `pulumi cancel` where a lock is left, then `up` or `destroy`, at once,
while processes of the killed run may still be at work.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.live import daemon
from tests.live.fixtures import stack_in
from tests.live.pods import a_bare_pod, expect_a_pod_to_run
from tests.live.stack import UP_SECONDS, Stack
from tests.live.waiting import until
from tests.soak import kills
from tests.soak.kills import Case, Victim

pytestmark = pytest.mark.timeout(900)

_ORPHAN_SECONDS = 300.0
"""How long k3d may work on after the death of its engine."""
_RESTART_SECONDS = 120.0
_LEFT_TO_DOCKER = "held by Docker, though no container has it"
"""Its cure is to restart Docker."""
_REHEARSED = "the new configuration starts, so it is replaced now"


@pytest.fixture(scope="module")
def _stack(tmp_path_factory: Any, environ: dict[str, str]) -> Iterator[Stack]:
    with stack_in(tmp_path_factory.mktemp("kills"), environ, traceProbe=False) as stack:
        yield stack


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


@pytest.fixture
def standing(stack: Stack) -> Stack:
    """Up without pending changes, with the configuration that it has."""
    stack.settle(**stack.config)
    return stack


def configure_another_cluster(stack: Stack) -> None:
    """Changes the configuration so that the cluster must be replaced."""
    changed = {"k3sArgs": ["--kubelet-arg=max-pods=50@server:*"]}
    stack.configure(**({} if "k3sArgs" in stack.config else changed))


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
    assert stack.objects() == {
        f"network {stack.cluster}",
        f"container {stack.jaeger}",
        f"container {stack.collector}",
        f"container {stack.server}",
        f"volume k3d-{stack.cluster}-images",
    }


def destroy_leaves_nothing(stack: Stack) -> None:
    stack.destroy()
    expect_rest(stack)
    assert stack.left_overs() == set()
    assert stack.state == {}


def expect_rest(stack: Stack) -> None:
    """Waits until nothing works on the stack: what works on could still change it."""
    until("the end of the orphaned processes", lambda: not kills.at_work(stack), _ORPHAN_SECONDS)


@pytest.mark.cases("case", kills.UP, 1)
def test_after_a_kill_in_an_up_the_cure_ends_well(absent: Stack, case: Case) -> None:
    kills.interrupt(absent, case)
    cure(absent, case.cure)


@pytest.mark.cases("case", kills.DESTROY, 1)
def test_after_a_kill_in_a_destroy_the_cure_ends_well(standing: Stack, case: Case) -> None:
    kills.interrupt(standing, case)
    cure(standing, case.cure)


@pytest.mark.cases("case", kills.REPLACEMENT, 1)
def test_after_a_kill_in_a_replacement_the_cure_ends_well(standing: Stack, case: Case) -> None:
    before = standing.ids()
    with a_bare_pod(standing) as pod:
        uid, restarts = pod()
        configure_another_cluster(standing)
        said = kills.interrupt(standing, case).said
        assert (_REHEARSED in said) is not case.phase.old_cluster
        if case.phase.old_cluster:
            expect_rest(standing)
            now = standing.ids()
            assert {name: now.get(name) for name in before} == before
            restarted = int(case.victim is Victim.DOCKERD)
            until("the bare pod", lambda: pod() == (uid, restarts + restarted), _RESTART_SECONDS)
    cure(standing, case.cure)


def test_a_run_that_outlived_its_stack_leaves_the_next_one_alone(absent: Stack) -> None:
    kills.interrupt(absent, kills.OUTLIVED)
    absent.unlock()
    with kills.asleep(absent, "runtime_observability.host.ensure"):
        absent.destroy()
        absent.up()
        cluster = absent.ids()[absent.server]
    expect_rest(absent)
    up_ends_whole(absent)
    assert absent.ids()[absent.server] == cluster
