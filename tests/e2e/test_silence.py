"""A component that exports nothing fails `up`, by its name."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest

from tests.live.stack import Stack


@pytest.fixture
def image_with_a_silent_containerd(stack: Stack) -> Iterator[str]:
    """The node's image, its containerd told by its environment to trace nothing.

    k3s hands CONTAINERD_<NAME> on to containerd as <NAME>; a containerd that has no tracing
    plugin at all is as silent.
    """
    node = stack.docker.inspect(stack.server)["Config"]["Image"]
    image = f"silent-{secrets.token_hex(3)}:test"
    container = stack.docker("create", node)
    change = "ENV CONTAINERD_OTEL_SDK_DISABLED=true"
    stack.docker("commit", "--change", change, container, image)
    stack.docker("rm", "-v", container)
    yield image
    stack.docker("rmi", "-f", image)


def test_a_containerd_that_does_not_export_fails_up_by_name(
    stack: Stack, image_with_a_silent_containerd: str
) -> None:
    stack.configure(
        k3sImage=image_with_a_silent_containerd, containerdTracing="image", probeTimeoutSeconds=10
    )
    said = stack.refused_up().said
    assert "no trace of containerd within 10 s" in said
    assert "- containerd " in said
    assert "- kubelet " not in said
    assert "- apiserver " not in said
    assert "broken hop: component exports spans" in said
    pods = stack.kubectl("get", "pods", "-o", "name")
    assert "trace-probe" not in pods, "the probe's pod stays"
