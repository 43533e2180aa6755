"""Two stacks of two developers on one Docker daemon."""

from __future__ import annotations

import json
import subprocess

from runtime_observability.core import origin
from tests.e2e.ktrace import document, ktrace, shown, whole
from tests.live import traces
from tests.live.pods import pods
from tests.live.stack import Stack
from tests.live.starts import SECONDS, start_of
from tests.live.waiting import until


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
    both = (stack, neighbour)
    names = [_named(each) for each in both]
    assert names[1].endswith("@ada")
    with (
        pods(stack, "sleep", "600") as first,
        pods(neighbour, "sleep", "600", name=first.name),
    ):
        pod = f"{first.name}-0"
        uids = [shown(each, pod, whole)["uid"] for each in both]
        assert uids[0] != uids[1]

        def asked(*arguments: str) -> subprocess.CompletedProcess[str]:
            return ktrace(stack, "show", pod, "--json", "--jaeger", stack.jaeger_url, *arguments)

        mixed = asked("--timeout", "0")
        assert mixed.returncode == 2
        assert all(name in mixed.stdout for name in names), mixed.stdout
        for name, uid in zip(names, uids, strict=True):
            found = asked("--stack", name)
            assert json.loads(found.stdout)["uid"] == uid, found.stdout
        absent = asked("--stack", "acme/other/dev", "--timeout", "0")
        assert absent.returncode == 1
        assert "has no span of stack acme/other/dev" in absent.stdout
    for each in both:
        assert document(each, "verify")["ok"]
        ran = ktrace(each, "run", "--json", "--stack", each.name, "--", "kubectl", "get", "pods")
        assert ran.returncode == 0, ran.stdout + ran.stderr


def _named(stack: Stack) -> str:
    """As --stack takes it."""
    attributes = stack.outputs["resourceAttributes"]
    return f"{attributes[origin.STACK]}@{attributes[origin.OWNER]}"


def _start_a_pod(stack: Stack, other: Stack) -> None:
    """Starts a pod in ``stack`` and expects its trace there and not in ``other``."""
    with pods(stack, "true") as single:
        single.wait_for("Succeeded")
        pod = f"{single.name}-0"
        until(f"the trace of {pod}", lambda: start_of(stack, pod), SECONDS)
        tags = {"k8s.pod": f"default/{pod}"}
        assert traces.search(other.jaeger_url, "kubelet", "syncPod", tags) == []
