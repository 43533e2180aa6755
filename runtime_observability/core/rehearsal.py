"""The cluster in which a change is rehearsed that the standing cluster might not survive."""

from __future__ import annotations

import copy
from collections.abc import Collection
from typing import Any

from runtime_observability.core import transition
from runtime_observability.core.cluster_spec import ClusterSpec, published
from runtime_observability.core.naming import Names


def configuration(
    spec: ClusterSpec, names: Names, new_ports: Collection[tuple[int, str]] = ()
) -> dict[str, Any]:
    """k3d's configuration of ``spec`` with as few nodes as show whether all start.

    Their image, arguments, environment and registries are the same. Their files have a folder of
    their own, as the standing nodes read theirs when they restart; they publish no port but
    ``new_ports``, which the stack does not hold yet, and the API server, else on a free one, and
    have a network of their own, on which no span reaches the collector.
    """
    config = copy.deepcopy(spec.config)
    rehearsed = _rehearsed(spec.config)

    def of_nodes(key: str) -> list[dict[str, Any]]:
        return [
            {key: _with_own_names(text, names), "nodeFilters": [f"{role}:{place}"]}
            for role, indexes in rehearsed.items()
            for place, index in enumerate(indexes)
            for text in transition.of_node(spec.config, key, role, index)
        ]

    config["metadata"]["name"] = names.rehearsal
    servers, agents = map(len, rehearsed.values())
    config |= {"servers": servers, "agents": agents, "env": of_nodes("envVar")}
    config["ports"] = [entry for entry in config["ports"] if published(entry) in new_ports]
    del config["network"]
    if (int(config["kubeAPI"]["hostPort"]), "tcp") not in new_ports:
        del config["kubeAPI"]["hostPort"]
    directory = str(names.rehearsal_directory / names.node_directory.name)
    config["volumes"] = [
        entry | {"volume": entry["volume"].replace(str(names.node_directory), directory, 1)}
        for entry in of_nodes("volume")
    ]
    arguments = of_nodes("arg")
    if spec.config["servers"] > servers == 1:  # k3d itself adds it for more than one
        arguments.append({"arg": "--cluster-init", "nodeFilters": ["server:0"]})
    config["options"]["k3s"]["extraArgs"] = arguments
    config["options"]["k3d"]["timeout"] = f"{120 + 60 * (servers + agents)}s"
    return config


def _with_own_names(text: str, names: Names) -> str:
    """``text`` with the rehearsal's nodes in NO_PROXY: they too connect to their server by name."""
    if not text.startswith("NO_PROXY="):
        return text
    return text.replace(f"k3d-{names.cluster}-", f"k3d-{names.rehearsal}-")


def nodes(config: dict[str, Any], names: Names) -> list[str]:
    """Container names of the nodes in a rehearsal's configuration."""
    return [
        f"k3d-{names.rehearsal}-{role}-{index}"
        for role in ("server", "agent")
        for index in range(config[f"{role}s"])
    ]


def _rehearsed(config: dict[str, Any]) -> dict[str, list[int]]:
    """By role, the indexes of the first node with each list of arguments.

    Nodes of one role differ in nothing else that could stop them. Agents without an argument of
    the user's are left out: the stack's own, the kubelet's file, every server has too.
    """
    chosen: dict[str, list[int]] = {}
    for role, own_arguments in (("server", 0), ("agent", 1)):
        first: dict[tuple[str, ...], int] = {}
        for index in range(config[f"{role}s"]):
            first.setdefault(tuple(transition.of_node(config, "arg", role, index)), index)
        chosen[role] = [index for found, index in first.items() if len(found) > own_arguments]
    return chosen
