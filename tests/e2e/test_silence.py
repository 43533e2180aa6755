"""`up` fails if a component exports no spans, and names the component."""

from __future__ import annotations

from tests.live import nodes
from tests.live.stack import Stack


def test_a_containerd_that_does_not_export_fails_up_by_name(stack: Stack) -> None:
    seconds = nodes.seconds_of_the_first_start(stack)
    silent = nodes.with_a_silent_containerd(stack)
    stack.configure(containerdTracing="image", probeTimeoutSeconds=seconds, **silent)
    output = stack.refused_up().said
    assert f"no trace of containerd within {seconds} s" in output
    assert "- containerd " in output
    assert "- kubelet " not in output
    assert "- apiserver " not in output
    assert "broken hop: component exports spans" in output
    pods = stack.kubectl("get", "pods", "-o", "name")
    assert "trace-probe" not in pods, "the probe's pod was not removed"
