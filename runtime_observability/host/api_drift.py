"""How a cluster's API server differs from what ensure left. Read-only."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from runtime_observability.core.naming import Names
from runtime_observability.core.observation import Record
from runtime_observability.core.transition import named_by_docker
from runtime_observability.host import api_server
from runtime_observability.host.api_server import ApiServer
from runtime_observability.host.http import httpx

_REPORT_SECONDS = 20
"""A kubelet reports every 10 s, and Kubernetes looks every 5 s."""


def find(names: Names, record: Record) -> list[str]:
    """Why the API server cannot be used, or which nodes of ``record`` it lacks; empty: neither.

    A node's container can run while k3s in it is dead: k3d's entrypoint outlives k3s.
    """
    try:
        with ApiServer(names.kubeconfig) as api:
            status = api.status("/readyz")
            if status == httpx.codes.OK:
                lacks = unknown(api, record.nodes, record.spec["k3d"])
                quiet = _silent(api, record.nodes)
                return [
                    *(f"node {node} runs, and the API server does not know it" for node in lacks),
                    *(f"node {node} runs, and its kubelet does not report" for node in quiet),
                ]
    except api_server.UnusableKubeconfigError:
        return [f"{names.kubeconfig} cannot be read"]
    except httpx.HTTPError as error:
        return [f"the API server of cluster {names.cluster} does not answer: {error}"]
    if status in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        return [
            f"the API server refuses {names.kubeconfig} ({status}): it has expired or is another "
            "cluster's"
        ]
    return [f"the API server answers {status} to /readyz"]


def reasons_to_restart(
    kubeconfig: Path,
    nodes: Sequence[str],
    config: Mapping[str, Any],
    servers: Collection[str],
    has_started: Callable[[str], bool],
) -> dict[str, str]:
    """By node. A server that has not ``has_started`` may still join, and a kubelet still report.

    k3s signs its credentials for a year and renews them only when it starts
    (docs.k3s.io/cli/certificate); a node joins only then, too. Takes 20 s longer where a kubelet
    does not report: one that was paused reports again by then.
    """
    try:
        with ApiServer(kubeconfig) as api:
            if api.status("/readyz") == httpx.codes.UNAUTHORIZED:
                return dict.fromkeys(nodes, "the cluster's own credentials have expired")
            lacks = unknown(api, nodes, config)
            quiet = _silent_for_long(api, nodes)
    except (api_server.UnusableKubeconfigError, httpx.HTTPError):
        return {}  # the wait for the cluster has the reason
    hung = dict.fromkeys(filter(has_started, quiet), "its kubelet does not report")
    gone = [name for name in lacks if name not in servers or has_started(name)]
    return hung | dict.fromkeys(gone, "it is not in Kubernetes")


def _silent_for_long(api: ApiServer, nodes: Sequence[str]) -> list[str]:
    for _ in range(_REPORT_SECONDS):
        if not (found := _silent(api, nodes)):
            return []
        time.sleep(1)
    return found


def _silent(api: ApiServer, nodes: Sequence[str]) -> list[str]:
    """Kubernetes says Unknown, and not False, once it has not heard of a kubelet for 50 s."""
    try:
        known = {
            node["metadata"]["name"]: condition["status"]
            for node in api.get("/api/v1/nodes")["items"]
            for condition in node.get("status", {}).get("conditions", ())
            if condition["type"] == "Ready"
        }
    except (api_server.ApiError, LookupError, TypeError):
        return []
    return [node for node in nodes if known.get(node) == "Unknown"]


def unknown(api: ApiServer, nodes: Sequence[str], config: Mapping[str, Any]) -> list[str]:
    """Those of ``nodes`` that Kubernetes does not have, as after `kubectl delete node`: a kubelet
    joins only when it starts.

    ``config`` is k3d's. Empty where their names in Kubernetes are not those of their containers,
    and where the API server does not tell.
    """
    if not named_by_docker(config):
        return []
    try:
        known = {node["metadata"]["name"] for node in api.get("/api/v1/nodes")["items"]}
    except (api_server.ApiError, LookupError, TypeError):
        return []
    return [node for node in nodes if node not in known]
