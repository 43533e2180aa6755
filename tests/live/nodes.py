"""Settings for nodes of other releases and with other containerds, on this machine's images."""

from __future__ import annotations

from lab.build import programs
from lab.paths import Cache
from runtime_observability.core.compatibility import UPSTREAM_CONTAINERD
from runtime_observability.core.versions import Version
from tests.configuration import defaults
from tests.live.stack import Stack


def of_version(stack: Stack, version: str) -> dict[str, str]:
    """For a Kubernetes version: the lab's image if the stack uses the lab's, else the official."""
    tag = f"v{version}-k3s1"
    own = _labs_image(stack)
    return {"k3sVersion": tag, **({"k3sImage": f"{own.rpartition(':')[0]}:{tag}"} if own else {})}


def with_a_silent_containerd(stack: Stack) -> dict[str, str]:
    """For a containerd without the tracing plugin, as in k3s since 1.27.2."""
    own = _labs_image(stack)
    return {"k3sImage": own.replace("/k3s:", "/k3s-stock:")} if own else {}


def upstream_containerd(stack: Stack) -> tuple[dict[str, str], str]:
    """For an upstream containerd instead of the image's own; also returns its release.

    It is the lab's build if the stack uses the lab's images, else the official one for its k3s.
    """
    settings = {"containerdTracing": "upstream"}
    if _labs_image(stack):
        built = programs.containerd.output(Cache.of_this_user()) / "containerd"
        return {**settings, "containerdBinary": str(built)}, programs.CONTAINERD
    k3s = Version.parse({**defaults(), **stack.base}["k3sVersion"])
    return settings, UPSTREAM_CONTAINERD.at(k3s).version


def _labs_image(stack: Stack) -> str:
    return str(stack.base.get("k3sImage", ""))
