"""Persistent volumes whose data would be lost with an agent."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from runtime_observability.host import node_kubectl, runner

_HOSTNAME = "kubernetes.io/hostname"


def lost_with(agent: str, *, server: str) -> list[str]:
    """Persistent volumes that no other node has, as those of k3s' own StorageClass, local-path, and
    those with a hostPath that a pod on the agent has: they are of no node, and their data is there.

    Raises AgentsError where that cannot be asked.
    """
    unknown = f"{agent} stays, because its volumes are not known"

    def listed(*of: str) -> list[dict[str, Any]]:
        text = node_kubectl.read(unknown, *of, "--output=json", server=server)
        items: list[dict[str, Any]] = json.loads(text)["items"]
        return items

    volumes = listed("persistentvolumes")
    claims: set[tuple[str, str]] = set()
    if any("hostPath" in volume["spec"] for volume in volumes):
        of_agent = ("pods", "--all-namespaces", f"--field-selector=spec.nodeName={agent}")
        claims = set(_claims(listed(*of_agent)))
    here = [
        volume
        for volume in volumes
        if _is_on(agent, volume) or (_claim(volume) in claims and _is_in_the_node(agent, volume))
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


def _is_in_the_node(agent: str, volume: Mapping[str, Any]) -> bool:
    """Whether a volume has a hostPath that is not in a folder of the machine, as of nodeVolumes."""
    if not (path := volume["spec"].get("hostPath", {}).get("path")):
        return False
    inspected = runner.run(["docker", "inspect", "--format", "{{json .Mounts}}", agent]).checked()
    folders = [each["Destination"] for each in json.loads(inspected) if each["Type"] == "bind"]
    return not any(PurePosixPath(path).is_relative_to(folder) for folder in folders)


def _is_on(agent: str, volume: Mapping[str, Any]) -> bool:
    """Whether each term of its node affinity, of which one has to hold, names that node alone."""
    required = volume["spec"].get("nodeAffinity", {}).get("required", {})
    terms = [term.get("matchExpressions", ()) for term in required.get("nodeSelectorTerms", ())]
    return bool(terms) and all(
        any(
            rule["key"] == _HOSTNAME and rule["operator"] == "In" and rule["values"] == [agent]
            for rule in term
        )
        for term in terms
    )


def _told(volume: Mapping[str, Any]) -> str:
    """The claim of one that is released is gone."""
    name, claim = volume["metadata"]["name"], _claim(volume)
    is_bound = volume.get("status", {}).get("phase", "Bound") == "Bound"
    return f"volume {name} of claim {'/'.join(claim)}" if claim and is_bound else f"volume {name}"
