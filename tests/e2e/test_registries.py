"""registries.config in nodes that stand: they restart, and pull from the mirror that it names."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.e2e.ktrace import shown, waiting, whole
from tests.live import registry
from tests.live.pods import Pods, a_bare_pod, pods, wait_for_api
from tests.live.stack import Stack
from tests.live.waiting import until

_REGISTRY = "images.example"
"""No resolver knows the name: what comes from it has come from its mirror."""
_MIRROR = {"config": f"mirrors:\n  {_REGISTRY}:\n    endpoint: ['http://{registry.ADDRESS}']\n"}


@contextmanager
def a_pod_of(stack: Stack, name: str) -> Iterator[Pods]:
    container = {"name": "main", "image": f"{_REGISTRY}/{name}:1"}
    command: dict[str, Any] = {"command": ["/bin/busybox", "sleep", "600"]}
    with pods(stack, nodeName=stack.server, containers=[container | command]) as single:
        yield single


def change(stack: Stack, registries: dict[str, Any]) -> None:
    """Every object of the cluster stays; the containers restart once."""
    with a_bare_pod(stack) as pod:
        uid, restarts = pod()
        before = stack.ids()
        stack.configure(registries=registries)
        assert "its nodes will restart one after the other" in stack.plan().diagnostics
        stack.up()
        assert stack.ids() == before
        until("the restart of the pod", lambda: pod() == (uid, restarts + 1), 60)
    stack.expect_no_changes()


def test_nodes_pull_from_a_mirror_that_is_given_to_them_later_and_no_longer_without_it(
    unsettled: Stack,
) -> None:
    stack = unsettled
    stack.settle()
    wait_for_api(stack)
    change(stack, _MIRROR)
    with registry.serving(stack), a_pod_of(stack, "team/first") as single:
        start = shown(stack, f"{single.name}-0", whole)
        pull = f"pull {_REGISTRY}/team/first:1"
        assert pull in [step["name"] for step in start["steps"]]
    change(stack, {})
    with registry.serving(stack), a_pod_of(stack, "team/second") as single:
        stuck = shown(stack, f"{single.name}-0", lambda start: "ErrImagePull" in waiting(start))
        assert not stuck["complete"]


def has_the_mirror(stack: Stack, agent: str) -> bool:
    file = "/etc/rancher/k3s/registries.yaml"
    return _REGISTRY in stack.docker("exec", agent, "cat", file)


def test_an_agent_has_them_whether_it_was_there_before_or_is_added_later(unsettled: Stack) -> None:
    stack = unsettled
    stack.settle(agents=1)
    before = stack.ids()
    stack.configure(agents=1, registries=_MIRROR)
    stack.up()
    assert stack.ids() == before
    first, second = (f"k3d-{stack.cluster}-agent-{number}" for number in range(2))
    assert has_the_mirror(stack, first)
    stack.configure(agents=2, registries=_MIRROR)
    stack.up()
    assert before.items() < stack.ids().items()
    assert has_the_mirror(stack, second)
    stack.expect_no_changes()
