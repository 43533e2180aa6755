"""The stack's containers with another name, as after `docker rename`: they would be taken for gone.
Read-only."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from runtime_observability.core.naming import Names
from runtime_observability.core.problem import Problem
from runtime_observability.host import lives
from runtime_observability.host.docker import ClusterNodes, Owned
from runtime_observability.host.lives import Life

_ROLES = {"server": "a server", "agent": "an agent"}


def refuse_nodes(
    names: Names,
    containers: Sequence[Owned],
    expected: Collection[str],
    known: Mapping[str, Life],
) -> list[Problem]:
    """The stack's nodes that would be missed and replaced, with all that the cluster has.

    A node's host name is the name that k3d gave its container, and stays. ``expected``: the nodes
    that there should be; ``known``: the lives of those that there are. Docker is asked for more
    where one of them is missing, and there is one that is not expected.
    """
    own = {
        node.name: node for node in ClusterNodes.of(containers, names.cluster, names.owner).owned
    }
    given = {name: life.host_name for name, life in known.items() if name in own}
    others = [name for name, node in own.items() if name not in expected and not node.is_renamed]
    if others and not own.keys() >= {*expected}:
        given |= {name: life.host_name for name, life in lives.read(*others).items()}
    return [
        _problem(node, given.get(name, ""), own)
        for name, node in own.items()
        if node.is_renamed or given.get(name, name) != name
    ]


def _problem(node: Owned, given: str, own: Collection[str]) -> Problem:
    """``given``: the name that k3d gave it; empty where that is not known."""
    if given in own:  # of another that was renamed, which goes back to its own then
        cure = f"run `docker rename {node.name} {node.name}-renamed`, then `pulumi up` again"
    else:
        name = given or f"$(docker inspect --format '{{{{.Config.Hostname}}}}' {node.name})"
        cure = f"run `docker rename {node.name} {name}`"
    return Problem(
        "cluster",
        f"{node.name} of {node.cluster} is {_ROLES[node.role]} that was renamed",
        "up would take it for another" if given in own else "up would take it for gone",
        cure,
    )


def refuse_a_jaeger(names: Names, containers: Sequence[Owned]) -> list[Problem]:
    """The stack's Jaeger with traces in its memory, which alone has a spec among its containers."""
    own = [found for found in containers if found.owner == names.owner]
    if any(found.name == names.jaeger for found in own):
        return []
    return [
        Problem(
            "jaeger",
            f"{found.name} is the Jaeger of this stack and was renamed",
            "up would take it for gone and replace it, and the traces in its memory would be lost",
            f"run `docker rename {found.name} {names.jaeger}`; without its traces, "
            f"`docker rm -f {found.name}`",
        )
        for found in own
        if found.has_traces_in_memory
    ]
