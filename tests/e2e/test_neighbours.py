"""Two stacks of two developers on one Docker daemon."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime_observability.core import origin
from tests.e2e.ktrace import document, ktrace, shown, whole
from tests.live import traces
from tests.live.fixtures import stack_in
from tests.live.pods import BUSYBOX, pods
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


def test_one_jaeger_serves_two_stacks_and_mixes_none_of_their_pods(
    stack: Stack, neighbour: Stack
) -> None:
    """The neighbour keeps no traces: it sends to the first stack's Jaeger, and asks that."""
    stack.docker("network", "connect", f"traced-{neighbour.name}", stack.jaeger)
    exporter = {
        "name": "shared",
        "endpoint": f"{stack.jaeger}:4317",
        "tls": {"insecure": True},
    }
    neighbour.configure(
        traceStore="none", queryUrl=stack.jaeger_url, exporters=[exporter], stackOwner="ada"
    )
    neighbour.up()
    names = []
    starts = []
    for each in (stack, neighbour):
        attributes = each.outputs["resourceAttributes"]
        names.append(f"{attributes[origin.STACK]}@{attributes[origin.OWNER]}")
        each.kubectl("run", "twin", f"--image={BUSYBOX}", "--", "sleep", "300")
        starts.append(shown(each, "twin", whole))
    assert names[1].endswith("@ada")

    def asked(*arguments: str) -> subprocess.CompletedProcess[str]:
        return ktrace(stack, "show", "twin", "--json", "--jaeger", stack.jaeger_url, *arguments)

    mixed = asked("--timeout", "0")
    assert mixed.returncode == 2
    assert all(name in mixed.stdout for name in names), mixed.stdout
    for name, start in zip(names, starts, strict=True):
        found = asked("--stack", name)
        assert json.loads(found.stdout)["uid"] == start["uid"], found.stdout
    absent = asked("--stack", "acme/other/dev", "--timeout", "0")
    assert absent.returncode == 1
    assert "has no span of stack acme/other/dev" in absent.stdout
    for each in (stack, neighbour):
        assert document(each, "verify")["ok"]
        pod = ("get", "pod", "twin", "-o", "jsonpath={.metadata.uid}")
        ran = ktrace(each, "run", "--json", "--stack", each.name, "--", "kubectl", *pod)
        assert ran.returncode == 0, ran.stdout + ran.stderr


def _start_a_pod(stack: Stack, other: Stack) -> None:
    """Starts a pod in ``stack`` and expects its trace there and not in ``other``."""
    with pods(stack, "true") as single:
        single.wait_for("Succeeded")
        pod = f"{single.name}-0"
        until(f"the trace of {pod}", lambda: start_of(stack, pod), SECONDS)
        tags = {"k8s.pod": f"default/{pod}"}
        assert traces.search(other.jaeger_url, "kubelet", "syncPod", tags) == []
