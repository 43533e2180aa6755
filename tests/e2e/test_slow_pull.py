"""A pull that runs is told while it runs, and the pull that waits for it names it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager

import pytest

from tests.e2e.ktrace import shown, waiting, whole
from tests.live.pods import Pods, pods, wait_for_api
from tests.live.registry import serving
from tests.live.stack import Stack

_REGISTRY = "localhost:5000"
"""containerd asks a registry of this name over http if TLS fails, whatever its configuration."""
_SECONDS = 8
_ONE_AFTER_THE_OTHER = ["--kubelet-arg=serialize-image-pulls=true@server:*"]
"""The kubelet's default, but not k3s' (pkg/daemons/agent/agent_linux.go)."""


@pytest.fixture
def registry(unsettled: Stack) -> Iterator[str]:
    """A registry on the first server's own loopback, whose layer comes after ``_SECONDS``."""
    stack = unsettled
    stack.settle(k3sArgs=_ONE_AFTER_THE_OTHER)
    wait_for_api(stack)
    with serving(stack, layer_seconds=_SECONDS):
        yield _REGISTRY


def test_a_running_pull_is_told_and_named_by_the_pull_that_waits_for_it(
    unsettled: Stack, registry: str
) -> None:
    stack = unsettled

    def pulling(name: str) -> AbstractContextManager[Pods]:
        container = {
            "name": "main",
            "image": f"{registry}/{name}:1",
            "command": ["/bin/busybox", "sleep", "600"],
        }
        return pods(stack, nodeName=stack.server, containers=[container])

    with pulling("first") as first, pulling("second") as second:
        one, other = f"{first.name}-0", f"{second.name}-0"
        told = f"waiting for the pull of {registry}/first:1"
        running = shown(stack, one, lambda start: waiting(start) == told)
        assert not running["complete"]
        (entry,) = running["waitingFor"]
        assert not entry["stuck"]
        start = shown(stack, one, whole)
        (pull,) = [step for step in start["steps"] if step["name"] == f"pull {registry}/first:1"]
        assert pull["durationMs"] >= _SECONDS * 1000
        assert pull["critical"]
        start = shown(stack, other, whole)
        waited = [
            step
            for step in start["steps"]
            if step["name"] == f"waits for the pull of {registry}/first:1 by default/{one}"
        ]
        assert pull["durationMs"] / 2 < sum(step["durationMs"] for step in waited)
