"""How the nodes, their files and their API server differ from what ensure made."""

from __future__ import annotations

import hashlib

from runtime_observability.core.naming import Names
from runtime_observability.core.observation import Record
from runtime_observability.host import api_server
from runtime_observability.host.api_server import ApiServer
from runtime_observability.host.docker import Owned
from runtime_observability.host.http import httpx


def find(names: Names, record: Record, containers: list[Owned]) -> list[str]:
    """How the nodes and their files differ from what ensure made; empty when they are the same."""
    if not record.complete:
        return [f"the last run ended before cluster {names.cluster} was complete"]
    nodes = {node.name: node for node in containers if node.owner == names.owner}
    drift = []
    if any(container.cluster == names.rehearsal for container in containers):
        drift.append(f"a rehearsal of cluster {names.cluster} was interrupted and is still there")
    for name in record.nodes:
        node = nodes.get(name)
        if node is None:
            drift.append(f"node {name} is gone")
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
    return drift


def find_in_the_api(names: Names) -> list[str]:
    """Why the API server cannot be used; empty if it can.

    A node's container can run while k3s in it is dead: k3d's entrypoint outlives k3s.
    """
    try:
        with ApiServer(names.kubeconfig) as api:
            status = api.status("/readyz")
    except api_server.UnusableKubeconfigError:
        return [f"{names.kubeconfig} cannot be read"]
    except httpx.HTTPError as error:
        return [f"the API server of cluster {names.cluster} does not answer: {error}"]
    if status in (401, 403):
        return [
            f"the API server refuses {names.kubeconfig} ({status}): it has expired or is another "
            "cluster's"
        ]
    return [] if status == 200 else [f"the API server answers {status} to /readyz"]
