"""How a cluster's API server differs from what ensure left. Read-only."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from runtime_observability.core import observation
from runtime_observability.core.naming import Names
from runtime_observability.core.observation import Record
from runtime_observability.core.transition import named_by_docker
from runtime_observability.host import api_server, kubeconfig
from runtime_observability.host.api_server import ApiServer
from runtime_observability.host.http import httpx

HUNG = "its kubelet does not report"
NOT_JOINED = "it is not in Kubernetes"
_REPORT_SECONDS = 20
"""A kubelet reports every 10 s, and Kubernetes looks every 5 s."""


def find(names: Names, record: Record) -> list[str]:
    """Why the API server cannot be used, or which nodes of ``record`` it lacks; empty: neither.

    A node's container can run while k3s in it is dead: k3d's entrypoint outlives k3s.
    """
    if context := kubeconfig.foreign_context(names.kubeconfig, names.cluster):
        return [
            f"the current context of {names.kubeconfig} is {context}, which is another cluster's"
        ]
    try:
        with ApiServer(names.kubeconfig) as api:
            status = api.status("/readyz")
            if status == httpx.codes.OK:
                ready = _ready(api)
                lacks = _unknown(ready, record.nodes, record.spec["k3d"])
                quiet = _silent(ready, record.nodes)
                return [
                    *map(observation.unknown, lacks),
                    *(f"node {node} runs, and {HUNG}" for node in quiet),
                ]
    except api_server.UnusableKubeconfigError:
        return [f"{names.kubeconfig} cannot be read"]
    except httpx.HTTPError as error:
        return [f"{observation.unready(names.cluster)}does not answer: {error}"]
    if status in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        return [
            f"the API server refuses {names.kubeconfig} ({status}): it has expired or is another "
            "cluster's"
        ]
    return [f"{observation.unready(names.cluster)}answers {status} to /readyz"]


def reasons_to_restart(
    file: Path,
    nodes: Sequence[str],
    config: Mapping[str, Any],
    servers: Collection[str],
    has_started: Callable[[str], bool],
) -> dict[str, str]:
    """By node; ``file`` is the kubeconfig.

    A server that has not ``has_started`` may still join, and a kubelet still report. k3s signs its
    credentials for a year and renews them only when it starts (docs.k3s.io/cli/certificate); a node
    joins only then, too. Takes 20 s longer where a kubelet does not report: one that was paused
    reports again by then.
    """
    try:
        with ApiServer(file) as api:
            if api.status("/readyz") == httpx.codes.UNAUTHORIZED:
                return dict.fromkeys(nodes, "the cluster's own credentials have expired")
            ready = _ready(api)
            lacks = _unknown(ready, nodes, config)
            quiet = _still_silent(api, _silent(ready, nodes))
    except (api_server.UnusableKubeconfigError, httpx.HTTPError):
        return {}  # the wait for the cluster has the reason
    silent = dict.fromkeys(filter(has_started, quiet), HUNG)
    gone = [name for name in lacks if name not in servers or has_started(name)]
    return silent | dict.fromkeys(gone, NOT_JOINED)


def hung(file: Path, nodes: Sequence[str]) -> list[str]:
    """Those of ``nodes`` whose kubelet does not report; ``file`` is the kubeconfig.

    Empty where the API server does not tell. Takes 20 s longer where one does not, as above.
    """
    if not nodes:
        return []
    try:
        with ApiServer(file) as api:
            return _still_silent(api, _silent(_ready(api), nodes))
    except (api_server.UnusableKubeconfigError, httpx.HTTPError):
        return []


def _still_silent(api: ApiServer, nodes: list[str]) -> list[str]:
    """Those of ``nodes`` that do not report within the time in which one that works does."""
    for _ in range(_REPORT_SECONDS):
        if not nodes:
            break
        time.sleep(1)
        nodes = _silent(_ready(api), nodes)
    return nodes


def _ready(api: ApiServer) -> dict[str, str] | None:
    """The status of the condition Ready of each Node, by its name; empty where it has none.

    None where the API server does not tell.
    """
    try:
        nodes = api.get("/api/v1/nodes")["items"]
        return {node["metadata"]["name"]: _status(node) for node in nodes}
    except (api_server.ApiError, LookupError, TypeError):
        return None


def _status(node: Mapping[str, Any]) -> str:
    conditions = node.get("status", {}).get("conditions", ())
    return next((each["status"] for each in conditions if each["type"] == "Ready"), "")


def _silent(ready: Mapping[str, str] | None, nodes: Sequence[str]) -> list[str]:
    """Kubernetes says Unknown, and not False, once it has not heard of a kubelet for 50 s."""
    return [node for node in nodes if ready and ready.get(node) == "Unknown"]


def _unknown(
    ready: Mapping[str, str] | None, nodes: Sequence[str], config: Mapping[str, Any]
) -> list[str]:
    """Those of ``nodes`` that Kubernetes does not have, as after `kubectl delete node`: a kubelet
    joins only when it starts.

    ``config`` is k3d's. Empty where their names in Kubernetes are not those of their containers,
    and where the API server does not tell.
    """
    if ready is None or not named_by_docker(config):
        return []
    return [node for node in nodes if node not in ready]
