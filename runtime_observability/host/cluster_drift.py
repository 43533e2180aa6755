"""How the nodes, their files and the notes that keep them differ from what up made. Read-only."""

from __future__ import annotations

import hashlib
from collections.abc import Collection

from runtime_observability.core import observation
from runtime_observability.core.naming import BACKENDS_NOTE, CLUSTER_NOTE, Names
from runtime_observability.core.observation import Record
from runtime_observability.host.docker import Owned


def find(names: Names, record: Record, containers: list[Owned]) -> list[str]:
    """How they differ from what up made; empty when they are the same."""
    nodes = {node.name: node for node in containers if node.owner == names.owner}
    if not record.complete:
        incomplete = f"the last run ended before cluster {names.cluster} was complete"
        return [incomplete, *_gone_with_all(record, nodes)]
    drift = []
    if any(container.cluster == names.rehearsal for container in containers):
        drift.append(f"a rehearsal of cluster {names.cluster} was interrupted and is still there")
    for name in record.nodes:
        node = nodes.get(name)
        if node is None:
            drift.append(observation.gone(name))
        elif node.state != "running":
            drift.append(f"node {name} is {node.state}")
        elif not node.is_on(names.network):
            drift.append(f"node {name} is not on network {names.network}")
        elif node.spec != record.digest:
            drift.append(f"node {name} was made from another configuration")
    for file, digest in record.spec["files"].items():
        path = names.node_directory / file
        try:
            if hashlib.sha256(path.read_bytes()).hexdigest() != digest:
                drift.append(f"{path} was changed")
        except FileNotFoundError:
            drift.append(f"{path} is gone")
        except (OSError, ValueError) as error:
            drift.append(f"{path} cannot be read: {error}")
    notes = (names.directory / note for note in (CLUSTER_NOTE, BACKENDS_NOTE))
    return [*drift, *(f"{note} is missing" for note in notes if not note.exists())]


def _gone_with_all(record: Record, nodes: Collection[str]) -> list[str]:
    """The drift of the servers where none is among the ``nodes`` that are there: a cluster that was
    complete once had workloads."""
    servers = record.nodes[: record.spec["k3d"]["servers"]]
    if record.never_complete or any(name in nodes for name in servers):
        return []
    return [observation.gone(name) for name in servers]
