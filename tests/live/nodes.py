"""Settings for nodes of other releases and with other containerds, on the images at hand."""

from __future__ import annotations

from lab import builds
from lab.paths import Cache
from tests.live.stack import Stack


def of_version(stack: Stack, version: str) -> dict[str, str]:
    """A Kubernetes version's: the lab's image where the stack has the lab's, else the official."""
    tag = f"v{version}-k3s1"
    own = _labs_image(stack)
    return {"k3sVersion": tag, **({"k3sImage": f"{own.rpartition(':')[0]}:{tag}"} if own else {})}


def with_a_silent_containerd(stack: Stack) -> dict[str, str]:
    """Those of k3s since 1.27.2, whose containerd has no tracing plugin."""
    own = _labs_image(stack)
    return {"k3sImage": own.replace("/k3s:", "/k3s-stock:")} if own else {}


def upstream_containerd(stack: Stack) -> dict[str, str]:
    """An upstream containerd in front of the image's own: the lab's build, else the official."""
    built = builds.containerd.output(Cache.of_this_user()) / "containerd"
    binary = {"containerdBinary": str(built)} if _labs_image(stack) else {}
    return {"containerdTracing": "upstream", **binary}


def _labs_image(stack: Stack) -> str:
    return str(stack.base.get("k3sImage", ""))
