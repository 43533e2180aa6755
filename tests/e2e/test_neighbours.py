"""Two stacks of two developers on one Docker daemon."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live import traces
from tests.live.fixtures import stack_in
from tests.live.pods import pods
from tests.live.stack import Stack
from tests.live.starts import SECONDS, start_of
from tests.live.waiting import until


@pytest.fixture
def neighbour(environ: dict[str, str], tmp_path: Path) -> Iterator[Stack]:
    with stack_in(tmp_path, environ) as stack:
        stack.up()
        yield stack


def test_each_stack_s_pods_are_in_its_own_jaeger_and_in_no_other(
    stack: Stack, neighbour: Stack
) -> None:
    _start_a_pod(stack, other=neighbour)
    _start_a_pod(neighbour, other=stack)


def _start_a_pod(stack: Stack, other: Stack) -> None:
    """Starts a pod in ``stack`` and expects its trace there and not in ``other``."""
    with pods(stack, "true") as single:
        single.wait_for("Succeeded")
        pod = f"{single.name}-0"
        until(f"the trace of {pod}", lambda: start_of(stack, pod), SECONDS)
        tags = {"k8s.pod": f"default/{pod}"}
        assert traces.search(other.jaeger_url, "kubelet", "syncPod", tags) == []
