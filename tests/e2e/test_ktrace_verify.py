"""Each hop is broken for real, and ``ktrace verify`` names it."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.e2e.ktrace import document, ktrace
from tests.live import traces
from tests.live.stack import Stack
from tests.live.starts import promised
from tests.live.waiting import until


def broken_hops(stack: Stack) -> set[str]:
    report = document(stack, "verify", "--timeout", "8", code=1)
    assert not report["ok"]
    assert all(part["ok"] is False for part in report["components"] if part["expected"])
    return {part["brokenHop"]["hop"] for part in report["components"] if part["expected"]}


@contextmanager
def repaired(stack: Stack) -> Iterator[None]:
    """Waits after the block until spans arrive again."""
    with stack.disturbed():
        yield
        until("Jaeger", lambda: traces.answers(stack.jaeger_url), 60)
        until("a whole pipeline", lambda: ktrace(stack, "verify").returncode == 0, 90)


def test_a_stack_that_is_up_is_traced_on_its_node(stack: Stack) -> None:
    report = document(stack, "verify")
    assert report["ok"]
    assert {part["component"] for part in report["components"] if part["ok"]} == {
        "apiserver"
    } | promised(stack)
    assert {part["node"] for part in report["components"]} == {stack.server}
    assert all(part["lastSpanAgeSeconds"] < 30 for part in report["components"])
    assert report["synthetic"]["ok"]


def test_a_stopped_collector_is_a_name_that_does_not_resolve(stack: Stack) -> None:
    with repaired(stack):
        stack.docker("stop", "--time", "2", stack.collector)
        try:
            assert broken_hops(stack) == {"name resolves in the node"}
        finally:
            stack.docker("start", stack.collector)


def test_a_blocked_port_is_named(stack: Stack) -> None:
    rule = ["OUTPUT", "-p", "tcp", "--dport", "4317", "-j", "DROP"]
    with repaired(stack):
        stack.docker("exec", stack.server, "iptables", "-I", *rule)
        try:
            assert broken_hops(stack) == {"TCP 4317 opens from the node"}
        finally:
            stack.docker("exec", stack.server, "iptables", "-D", *rule)


def test_a_wrong_alias_is_a_name_that_does_not_resolve(stack: Stack) -> None:
    network = f"traced-{stack.name}"
    squatter = f"{network}-squatter-{secrets.token_hex(2)}"
    image = stack.docker.inspect(stack.jaeger)["Image"]
    with repaired(stack):
        stack.docker("network", "disconnect", network, stack.collector)
        try:
            # Another container takes its address: otherwise open connections would survive.
            stack.docker("run", "-d", "--name", squatter, "--network", network, image)
            stack.docker("network", "connect", "--alias", "other", network, stack.collector)
            assert broken_hops(stack) == {"name resolves in the node"}
        finally:
            stack.docker("rm", "-fv", squatter)
            stack.docker("network", "disconnect", network, stack.collector, check=False)
            alias = ["--alias", "otel-collector"]
            stack.docker("network", "connect", *alias, network, stack.collector)


def test_a_killed_jaeger_is_an_exporter_that_does_not_deliver(stack: Stack) -> None:
    with repaired(stack):
        stack.docker("kill", stack.jaeger)
        try:
            assert broken_hops(stack) == {"collector's exporter delivers"}
            shown = ktrace(stack, "show", "pod/any")
            assert shown.returncode == 3
            assert len(shown.stderr.splitlines()) == 1
        finally:
            stack.docker("start", stack.jaeger)


ABSENCE = """\
sinceSeconds: {seconds}
expectations:
- name: no pod is evicted
  select: {{component: kubelet, operation: evictPod}}
  expect: {{count: 0}}
"""


def test_what_a_restarted_jaeger_lost_is_told(stack: Stack, tmp_path: Path) -> None:
    file = tmp_path / "absence.yaml"

    def verdict(seconds: int, *, code: int) -> Any:
        file.write_text(ABSENCE.format(seconds=seconds))
        (found,) = document(stack, "assert", str(file), code=code)["expectations"]
        return found

    with repaired(stack):
        stack.docker("restart", "--time", "2", stack.jaeger)
        restarted = time.monotonic()
    report = document(stack, "verify")
    assert report["ok"], "new traces arrive all the same"
    assert report["lostTraces"]["why"].startswith("Jaeger restarted at ")
    text = ktrace(stack, "verify", "--stack", stack.name).stdout
    assert "traces are lost: Jaeger restarted at " in text
    lost = verdict(600, code=1)
    assert not lost["judged"]
    (failure,) = lost["failures"]
    assert failure.startswith("not known: spans of the 600 s that are judged are lost: Jaeger")
    time.sleep(max(0.0, restarted + 15 - time.monotonic()))
    assert verdict(5, code=0)["judged"], "the restart was before that"


def test_an_agents_components_are_told_apart_from_the_servers(two_nodes: Stack) -> None:
    report = document(two_nodes, "verify")
    agent = f"k3d-{two_nodes.cluster}-agent-0"
    assert report["ok"]
    assert {part["component"] for part in report["components"] if part["node"] == agent} == {
        "kubelet",
        "containerd",
    }
