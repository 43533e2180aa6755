"""Which nodes take no pods: those that somebody, or a drain, has cordoned."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from runtime_observability.host import node_kubectl
from runtime_observability.host.node_kubectl import AgentsError

_UNCORDON_SECONDS = 10
"""k3d's entrypoint tries it every 3 s."""


def takes_pods(agent: str, *, server: str) -> bool:
    """Whether nobody has cordoned an agent. Raises AgentsError where that cannot be asked."""
    options = ("--ignore-not-found", "--output=jsonpath={.spec.unschedulable}")
    unknown = f"{agent} stays, because it is not known whether it takes pods"
    return node_kubectl.read(unknown, "node", agent, *options, server=server).strip() != "true"


def lift(agent: str, *, server: str) -> None:
    """Lets an agent take pods again, which a drain has stopped."""
    node_kubectl.run(server, "uncordon", agent)


@contextmanager
def kept(node: str, *, server: str) -> Iterator[None]:
    """Within it, the server ``node`` restarts, and is cordoned again at the end if it was before.

    k3d's entrypoint uncordons a server when it starts, a few seconds after it is ready.
    """
    if not _is_cordoned(node, server=server):
        yield
        return
    yield
    deadline = time.monotonic() + _UNCORDON_SECONDS
    while _is_cordoned(node, server=server) and time.monotonic() < deadline:
        time.sleep(0.2)
    node_kubectl.run(server, "cordon", node)


def _is_cordoned(node: str, *, server: str) -> bool:
    """False where that cannot be asked."""
    with suppress(AgentsError):
        return not takes_pods(node, server=server)
    return False
