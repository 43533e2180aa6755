"""What a change of the cluster's spec does to a standing cluster: restart, resize or replace.

A container's image, command, environment and mounts are fixed when it is created, so a change of
any node's replaces the cluster. The rest is changed in place: the number of agents, and what k3s
reads only when it starts (the files in the stack's folder, and registries.yaml).
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from runtime_observability.core.cluster_spec import ClusterSpec
from runtime_observability.core.naming import MOST_AGENTS
from runtime_observability.core.settings.k3s_arguments import selects

_NODE_NAMED_OTHERWISE = ("--node-name", "--with-node-id")
_NOT_COMPARED = ("CONTAINERD_OTEL_TRACES_SAMPLER", "OTEL_RESOURCE_ATTRIBUTES=k8s.node.name=")
"""containerd follows the kubelet's sampling, and each node's name follows from its place."""


@dataclass(frozen=True)
class Transition:
    """How a standing cluster of one spec gets another one; with nothing set, it has it already."""

    replaces: bool = False
    """The nodes cannot become what is wanted."""
    restarts: bool = False
    """The nodes must read changed files, so each is restarted, one after the other."""
    agents: int = 0
    """How many agents are added; negative: removed."""


def transition(before: ClusterSpec, after: ClusterSpec) -> Transition:
    """What makes a cluster of ``after`` of a cluster of ``before``."""
    one, other = before.config, after.config
    agents = other["agents"] - one["agents"]
    common = min(one["agents"], other["agents"])
    if _fixed(one, common) != _fixed(other, common) or (agents and not named_by_docker(other)):
        return Transition(replaces=True)
    return Transition(restarts=content(before) != content(after), agents=agents)


def with_agents(spec: ClusterSpec, agents: int) -> ClusterSpec:
    """The same cluster with another number of agents."""
    settings = spec.settings | ({"agents": agents} if "agents" in spec.settings else {})
    return replace(spec, config=spec.config | {"agents": agents}, settings=settings)


def content(spec: ClusterSpec) -> str:
    """16 hex digits of everything that a restarted node reads anew."""
    return _digest({"files": spec.files, "registries": spec.registries})


def identity(spec: ClusterSpec) -> str:
    """16 hex digits of what only another cluster can have; a Docker label on every node.

    The same for any number of agents, where that can change in place: all count that may exist.
    """
    agents = 0 if named_by_docker(spec.config) else spec.config["agents"]
    return _digest(_fixed(spec.config, MOST_AGENTS) | {"agents": agents})


def _digest(document: Any) -> str:
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()[:16]


def _fixed(config: Mapping[str, Any], agents: int) -> dict[str, Any]:
    """What cannot change in place, for every node on its own, with so many ``agents``."""
    shared = copy.deepcopy({key: value for key, value in config.items() if key != "agents"})
    del shared["options"]["k3d"]["timeout"]  # grows with the nodes
    registries = shared.get("registries", {})
    if not registries.get("use"):  # k3d merges those in use into the nodes' file
        registries.pop("config", None)
    if not registries:
        shared.pop("registries", None)
    for of_nodes in (shared["volumes"], shared["env"], shared["options"]["k3s"]["extraArgs"]):
        of_nodes.clear()
    nodes = [("server", index) for index in range(config["servers"])]
    nodes += [("agent", index) for index in range(agents)]
    return shared | {
        "nodes": {
            f"{role}:{index}": [
                entry
                for key in ("volume", "envVar", "arg")
                for entry in of_node(config, key, role, index)
                if not entry.startswith(_NOT_COMPARED)
            ]
            for role, index in nodes
        }
    }


def of_node(config: Mapping[str, Any], key: str, role: str, index: int) -> list[str]:
    """What one node gets of k3d's ``volume``, ``envVar`` or ``arg`` entries, in their order."""
    return [
        entry[key]
        for entry in _entries(config)[key]
        if any(selects(text, role, index) for text in entry["nodeFilters"])
    ]


def _entries(config: Mapping[str, Any]) -> dict[str, Sequence[Mapping[str, Any]]]:
    return {
        "volume": config["volumes"],
        "envVar": config["env"],
        "arg": config["options"]["k3s"]["extraArgs"],
    }


def named_by_docker(config: Mapping[str, Any]) -> bool:
    """Whether the nodes' names in Kubernetes are those of their containers."""
    return not any(
        entry["arg"].startswith(_NODE_NAMED_OTHERWISE)
        for entry in config["options"]["k3s"]["extraArgs"]
    )
