"""A registry in the cluster, on the loopback of its first server, with an image of any name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.live.pods import pods
from tests.live.stack import Stack
from tests.live.waiting import until

ADDRESS = "127.0.0.1:5000"
_SCRIPT = Path(__file__).with_name("slow_registry.sh")


@contextmanager
def serving(stack: Stack, *, layer_seconds: int = 0) -> Iterator[None]:
    """Its layer comes after ``layer_seconds``."""
    command = ("sh", "-c", _SCRIPT.read_text(), "registry", str(layer_seconds))
    with pods(stack, *command, hostNetwork=True, nodeName=stack.server) as single:
        single.wait_for("Running")
        asked = ("exec", f"{single.name}-0", "--", "sh", "-c", f"wget -qO- {ADDRESS} && echo yes")
        until("a registry that listens", lambda: stack.kubectl(*asked, check=False), 30)
        yield
