"""`up` fails if a component exports no spans, and names the component."""

from __future__ import annotations

from tests.live import nodes
from tests.live.pods import expect_a_pod_to_run
from tests.live.stack import Stack

_SECONDS = 15
"""All of them pass. The node is no new one: its first pod would take the longer part of them."""


def test_a_containerd_that_does_not_export_fails_up_by_name(stack: Stack) -> None:
    silent = {"containerdTracing": "image", **nodes.with_a_silent_containerd(stack)}
    stack.configure(traceProbe=False, **silent)
    stack.up()
    expect_a_pod_to_run(stack)
    stack.configure(probeTimeoutSeconds=_SECONDS, **silent)
    output = stack.refused_up().said
    assert f"no trace of containerd within {_SECONDS} s" in output
    assert "- containerd " in output
    assert "- kubelet " not in output
    assert "- apiserver " not in output
    assert "broken hop: component exports spans" in output
    pods = stack.kubectl("get", "pods", "-o", "name")
    assert "trace-probe" not in pods, "the probe's pod was not removed"
