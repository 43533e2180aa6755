"""Which of a stack's containers and networks Pulumi has to make again. Read-only.

Pulumi itself sees that in a refresh alone. With the real plugins that takes an `up` with nothing to
do from 3 to 8 s: 2 s are for the network alone, and every plugin is started once more.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from runtime_observability.core.naming import (
    COLLECTOR_ALIAS,
    JAEGER_ALIAS,
    OPENSEARCH_ALIAS,
    Names,
)
from runtime_observability.core.stores import NONE, OWN_LABEL, SEARCH_ENGINES
from runtime_observability.core.wanted import Wanted
from runtime_observability.host import lives
from runtime_observability.host.docker import PAUSED, Owned
from runtime_observability.host.lives import Endpoints

_STARTED = ("running", PAUSED)
"""States of a container that has not ended: it is as it was made. Docker starts one that has ended
after a pause that grows to a minute: one is seen restarting that ends again and again."""


@dataclass(frozen=True)
class DockerDrift:
    made: dict[str, str]
    """``Observation.made``."""
    reasons: tuple[str, ...]
    """What is to be made again, and why; of a stack that was never made, all of it. And what a
    person has stopped without ending it, and can let go on."""


def _aliases(names: Names) -> dict[str, str]:
    """By which name others find a container of the stack on its network."""
    return {
        names.collector: COLLECTOR_ALIAS,
        names.jaeger: JAEGER_ALIAS,
        names.open_search: OPENSEARCH_ALIAS,
    }


def find(
    names: Names,
    containers: Sequence[Owned],
    networks: Sequence[Owned],
    wanted: Wanted,
    endpoints: Mapping[str, Endpoints],
    *,
    made_now: str,
) -> DockerDrift:
    """``containers`` and ``networks`` are all that Docker has, ``endpoints`` those of the
    containers that others find by an alias; ``made_now``: MADE_LABEL of what is made again.

    A Jaeger of another store has never had an OpenSearch or a retention of its own.
    """
    own = {found.name: found for found in (*containers, *networks) if found.owner == names.owner}
    jaeger = own.get(names.jaeger)
    store = [names.open_search] if jaeger is None or jaeger.store == OWN_LABEL else []
    has_indices = jaeger is None or jaeger.store in (OWN_LABEL, *SEARCH_ENGINES)
    keeper = [names.retention] if has_indices else []
    expected = (
        *([names.jaeger] if wanted.jaeger else []),
        names.collector,
        *(store if wanted.open_search else []),
        *(keeper if wanted.retention else []),
    )
    there = [own[name] for name in expected if name in own]
    astray = {each.name: _astray(each, names, endpoints.get(each.name, {})) for each in there}
    reasons = {
        name: f"container {name} is {state}: up will make it again"
        for name in expected
        if (state := _fault(own.get(name), "" if name == names.jaeger else astray.get(name, "")))
    }
    if names.retention in reasons and names.retention not in own:  # or of an earlier release
        reasons[names.retention] = f"there is no container {names.retention}: up will make it"
    if names.network not in own:
        has_nodes = any(each.is_node and each.cluster == names.cluster for each in containers)
        rejoined = " and connects the cluster's nodes to it, which restart" if has_nodes else ""
        reasons[names.network] = f"network {names.network} is gone: up makes it again{rejoined}"
    kept = {name: found.made for name, found in own.items() if found.made}
    made = kept | dict.fromkeys(reasons, made_now)
    if names.collector in own and own[names.collector].store == NONE:
        for name in (names.jaeger, names.open_search, names.retention):
            reasons.pop(name, None)  # there was none
    by_hand = (line for each in there for line in _cures(each, names, own, astray[each.name]))
    return DockerDrift(made, (*reasons.values(), *by_hand))


def _astray(container: Owned, names: Names, endpoints: Endpoints) -> str:
    """Why others do not find it on the stack's network; empty if they do. Somebody who connects it
    by hand (`docker network connect`) gives it no alias, unless it is asked for."""
    network, alias = names.network, _aliases(names).get(container.name, "")
    if not container.is_on(network):
        return f"not on network {network}"
    if not alias or network not in endpoints:
        return ""
    known = lives.reached_as({network: endpoints[network]})
    return "" if alias in known else f"on network {network} without its alias {alias}"


def _cures(container: Owned, names: Names, own: Collection[str], astray: str) -> list[str]:
    """How a person has it work again with all it has: Jaeger's traces may be in its memory.

    ``own``: names of what the stack has; without its network nothing connects it again.
    """
    name, network = container.name, names.network
    cures = []
    if container.state == PAUSED:
        cures.append(f"container {name} is paused: `docker unpause {name}` lets it go on")
    if name == names.jaeger and container.state in _STARTED and astray and network in own:
        connect = f"docker network connect --alias {JAEGER_ALIAS} {network} {name}"
        if container.is_on(network):
            connect = f"docker network disconnect {network} {name} && {connect}"
        cures.append(f"container {name} is {astray}: `{connect}` connects it again")
    return [f"{cure}, with all it has" for cure in cures]


def _fault(container: Owned | None, astray: str) -> str:
    """Why it is not as it was made; empty if it is. ``astray``: why others do not find it."""
    if container is None:
        return "gone"
    return astray if container.state in _STARTED else container.state
