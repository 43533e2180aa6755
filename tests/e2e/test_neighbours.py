"""Two stacks of two developers on one Docker daemon."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

from runtime_observability.core import origin
from tests.e2e.ktrace import document, ktrace, shown, whole
from tests.e2e.webhooks import slow_webhook
from tests.live import traces
from tests.live.pods import pods, wait_for_api
from tests.live.stack import Stack
from tests.live.starts import SECONDS, start_of
from tests.live.waiting import until
from tests.schemas import validate

_PODS = 8
"""Of a measurement."""


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


def test_the_starts_of_two_stacks_of_one_project_are_compared(
    stack: Stack, environ: dict[str, str]
) -> None:
    with _sibling(stack, environ) as slow:
        began = time.time()
        _bench(stack)
        with slow_webhook(slow):
            _bench(slow)
        names = f"stack:{stack.name}", f"stack:{slow.name}"
        # Without the pods of this name that other tests have started in the stack: its sibling's up
        # was longer than the seconds by which the command may begin late.
        since = f"--since={time.time() - began + 15:.0f}s"
        options = ("--pods", "default/trace-probe", "--json")
        done = ktrace(stack, "diff", *names, *options, since)
        assert done.returncode in (0, 1), done.stderr
        compared = json.loads(done.stdout)
        validate("diff", compared)
        rows = {row["name"]: row for row in compared["rows"]}
        assert rows["create request"]["shown"]
        assert rows["create request"]["lowMs"] > 200
        back = ktrace(stack, "diff", *reversed(names), *options, since)
        rows = {row["name"]: row for row in json.loads(back.stdout)["rows"]}
        assert rows["create request"]["highMs"] < -200
        # A busy machine may hide what the webhook adds to the whole, and more.
        whole = rows["start"]
        assert back.returncode == int(whole["shown"] and whole["afterMs"] > whole["beforeMs"])


@contextmanager
def _sibling(stack: Stack, environ: dict[str, str]) -> Iterator[Stack]:
    """Another stack of the project of ``stack``, which stays the selected one."""
    sibling = Stack(stack.folder, environ)
    stack.pulumi("stack", "select")
    try:
        sibling.up()
        wait_for_api(sibling)
        yield sibling
    finally:
        sibling.finish()


def _bench(stack: Stack) -> None:
    done = ktrace(stack, "bench", f"--pods={_PODS}", "--stack", stack.name)
    assert done.returncode == 0, done.stdout + done.stderr


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
