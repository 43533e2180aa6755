"""A component that exports nothing fails `up`, by its name."""

from __future__ import annotations

from tests.live import nodes
from tests.live.stack import Stack


def test_a_containerd_that_does_not_export_fails_up_by_name(stack: Stack) -> None:
    seconds = nodes.seconds_of_the_first_start(stack)
    silent = nodes.with_a_silent_containerd(stack)
    stack.configure(containerdTracing="image", probeTimeoutSeconds=seconds, **silent)
    said = stack.refused_up().said
    assert f"no trace of containerd within {seconds} s" in said
    assert "- containerd " in said
    assert "- kubelet " not in said
    assert "- apiserver " not in said
    assert "broken hop: component exports spans" in said
    pods = stack.kubectl("get", "pods", "-o", "name")
    assert "trace-probe" not in pods, "the probe's pod stays"
