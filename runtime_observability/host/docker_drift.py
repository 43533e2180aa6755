"""Which of a stack's containers and networks Pulumi has to make again. Read-only.

Pulumi itself sees that in a refresh alone. With the real plugins that takes an `up` with nothing to
do from 3 to 8 s: 2 s are for the network alone, and every plugin is started once more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from runtime_observability.core.naming import Names
from runtime_observability.core.stores import NONE, OWN_LABEL
from runtime_observability.host.docker import PAUSED, Owned

_STARTED = ("running", PAUSED)
"""States of a container that has not ended: it is as it was made. Docker starts one that has ended
after a pause that grows to a minute: one is seen restarting that ends again and again."""


@dataclass(frozen=True)
class DockerDrift:
    made: dict[str, str]
    """``Observation.made``."""
    reasons: tuple[str, ...]
    """What is to be made again, and why; of a stack that was never made, all of it. And what only a
    person can let go on, who has paused it."""


def find(
    names: Names,
    containers: Sequence[Owned],
    networks: Sequence[Owned],
    *,
    made_now: str,
    has_jaeger: bool = True,
    open_search: bool = False,
) -> DockerDrift:
    """``containers`` and ``networks`` are all that Docker has; ``made_now``: MADE_LABEL of what is
    made again; ``has_jaeger``: one is wanted; ``open_search``: whether the stack wants one of its
    own, which a Jaeger of another store has never had."""
    own = {found.name: found for found in (*containers, *networks) if found.owner == names.owner}
    jaeger = own.get(names.jaeger)
    store = [names.open_search] if jaeger is None or jaeger.store == OWN_LABEL else []
    wanted = (
        *([names.jaeger] if has_jaeger else []),
        names.collector,
        *(store if open_search else []),
    )
    reasons = {
        name: f"container {name} is {state}: up will make it again"
        for name in wanted
        if (state := _fault(own.get(name)))
    }
    if names.network not in own:
        reasons[names.network] = (
            f"network {names.network} is gone: up will make it again, and the cluster that was on "
            "it, without its workloads"
        )
    kept = {name: found.made for name, found in own.items() if found.made}
    made = kept | dict.fromkeys(reasons, made_now)
    if names.collector in own and own[names.collector].store == NONE:
        for name in (names.jaeger, names.open_search):
            reasons.pop(name, None)  # there was none
    paused = (
        f"container {name} is paused: `docker unpause {name}` lets it go on, with all it has"
        for name in wanted
        if name in own and own[name].state == PAUSED
    )
    return DockerDrift(made, (*reasons.values(), *paused))


def _fault(container: Owned | None) -> str:
    """Why it is not as it was made; empty if it is."""
    if container is None:
        return "gone"
    return "" if container.state in _STARTED else container.state
