"""Persistent volumes whose data would be lost with an agent."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from runtime_observability.host import node_kubectl, runner

_OPERATORS: Mapping[str, Callable[[str | None, list[str]], bool]] = {
    "In": lambda value, values: value in values,
    "NotIn": lambda value, values: value not in values,
    "Exists": lambda value, _: value is not None,
    "DoesNotExist": lambda value, _: value is None,
    "Gt": lambda value, values: _is_less(values[0], value),
    "Lt": lambda value, values: _is_less(value, values[0]),
}
"""Of a rule in a node affinity: whether a node's label, which may be missing, meets it."""


def lost_with(agent: str, *, server: str) -> list[str]:
    """Persistent volumes that no other node has, as those of k3s' own StorageClass, local-path, and
    those in the node that a pod on the agent has: other nodes may have them, too, as those with a
    hostPath, and the data is where the pod is.

    Raises AgentsError where that cannot be asked.
    """
    unknown = f"{agent} stays, because its volumes are not known"

    def listed(*of: str) -> list[dict[str, Any]]:
        text = node_kubectl.read(unknown, *of, "--output=json", server=server)
        items: list[dict[str, Any]] = json.loads(text)["items"]
        return items

    volumes = listed("persistentvolumes")
    labels: dict[str, Mapping[str, str]] = {}
    if any("nodeAffinity" in volume["spec"] for volume in volumes):
        nodes = [node["metadata"] for node in listed("nodes")]
        labels = {node["name"]: node.get("labels", {}) for node in nodes}
    claims: set[tuple[str, str]] = set()
    if any(map(_path, volumes)):
        of_agent = ("pods", "--all-namespaces", f"--field-selector=spec.nodeName={agent}")
        claims = set(_claims(listed(*of_agent)))
    here = [
        volume
        for volume in volumes
        if _is_on(agent, volume, labels)
        or (_claim(volume) in claims and _is_in_the_node(agent, volume))
    ]
    return list(map(_told, here))


def _claims(pods: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """Namespace and name of each claim of ``pods``."""
    for pod in pods:
        for volume in pod["spec"].get("volumes", ()):
            if claim := volume.get("persistentVolumeClaim"):
                yield pod["metadata"]["namespace"], claim["claimName"]


def _claim(volume: Mapping[str, Any]) -> tuple[str, str] | None:
    claim = volume["spec"].get("claimRef")
    return (claim["namespace"], claim["name"]) if claim else None


def _path(volume: Mapping[str, Any]) -> str:
    """Where in its node a volume is; empty: it is in none."""
    spec = volume["spec"]
    return str((spec.get("hostPath") or spec.get("local") or {}).get("path", ""))


def _is_in_the_node(agent: str, volume: Mapping[str, Any]) -> bool:
    """Whether a volume is in its node and not in a folder of the machine, as of nodeVolumes."""
    if not (path := _path(volume)):
        return False
    inspected = runner.run(["docker", "inspect", "--format", "{{json .Mounts}}", agent]).checked()
    folders = [each["Destination"] for each in json.loads(inspected) if each["Type"] == "bind"]
    return not any(PurePosixPath(path).is_relative_to(folder) for folder in folders)


def _is_on(agent: str, volume: Mapping[str, Any], labels: Mapping[str, Mapping[str, str]]) -> bool:
    """Whether the agent alone meets its node affinity; ``labels`` are those of all nodes.

    Drivers have labels of their own for a node, as topology.topolvm.io/node.
    """
    required = volume["spec"].get("nodeAffinity", {}).get("required", {})
    terms = required.get("nodeSelectorTerms", ())
    others = (node for node in labels if node != agent)
    return _is_met(terms, agent, labels.get(agent)) and not any(
        _is_met(terms, node, labels[node]) for node in others
    )


def _is_met(
    terms: Iterable[Mapping[str, Any]], node: str, labels: Mapping[str, str] | None
) -> bool:
    """Whether one of the terms holds for a node. ``labels`` are None where Kubernetes has it no
    more: each label is taken for its name then, as of a driver's."""

    def holds(rule: Mapping[str, Any], value: str | None) -> bool:
        return _OPERATORS[rule["operator"]](value, rule.get("values", []))

    return any(
        (term.get("matchExpressions") or term.get("matchFields"))
        and all(
            holds(rule, node if labels is None else labels.get(rule["key"]))
            for rule in term.get("matchExpressions", ())
        )
        and all(holds(rule, node) for rule in term.get("matchFields", ()))  # metadata.name alone
        for term in terms
    )


def _is_less(one: str | None, other: str | None) -> bool:
    """Kubernetes compares whole numbers alone."""
    try:
        return int(one or "") < int(other or "")
    except ValueError:
        return False


def _told(volume: Mapping[str, Any]) -> str:
    """The claim of one that is released is gone."""
    name, claim = volume["metadata"]["name"], _claim(volume)
    is_bound = volume.get("status", {}).get("phase", "Bound") == "Bound"
    return f"volume {name} of claim {'/'.join(claim)}" if claim and is_bound else f"volume {name}"
