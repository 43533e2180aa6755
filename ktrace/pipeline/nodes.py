"""The nodes of a cluster, from its API."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from ktrace.errors import UnreachableError
from ktrace.pipeline.coverage import Node
from ktrace.text import clean, cleaned
from runtime_observability.host import kubeapi
from runtime_observability.host.kubeapi import RequestError

_API_SECONDS = 10
_POLL_SECONDS = 0.5
_SERVER_LABELS = ("node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master")
_REFUSALS = (401, 403)


def list_nodes(kubeconfig: Path, seconds: float = 0) -> list[Node]:
    """The nodes, once the API server answers: a slow or failed answer is tried again.

    Raises UnreachableError when it refuses, when nothing listens, or after ``seconds``.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            listed = kubeapi.get(kubeconfig, "/api/v1/nodes", _API_SECONDS)
            return [_node(entry["metadata"]) for entry in cleaned(listed["items"])]
        except RequestError as error:
            if not error.passing or time.monotonic() >= deadline:
                raise _unreachable(kubeconfig, error) from None
        except (LookupError, TypeError):
            raise UnreachableError(
                f"the server of {kubeconfig} answers without a list of nodes: name a kubeconfig of "
                "a Kubernetes cluster with --kubeconfig PATH"
            ) from None
        time.sleep(_POLL_SECONDS)


def _node(metadata: dict[str, Any]) -> Node:
    labels = metadata.get("labels") or {}
    return Node(str(metadata["name"]), any(label in labels for label in _SERVER_LABELS))


def _unreachable(kubeconfig: Path, error: RequestError) -> UnreachableError:
    if error.status in _REFUSALS:
        return UnreachableError(
            f"the cluster of {kubeconfig} refuses the list of its nodes: {clean(str(error))}; "
            "--kubeconfig PATH names one whose user may list nodes"
        )
    return UnreachableError(
        f"the cluster of {kubeconfig} cannot be reached: {clean(str(error))}; "
        "`pulumi up` starts a stack's cluster that is stopped"
    )
