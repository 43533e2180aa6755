"""The nodes of a cluster, from its API."""

from __future__ import annotations

from pathlib import Path

import urllib3
from kubernetes import client

from ktrace.errors import UnreachableError
from ktrace.pipeline.coverage import Node
from runtime_observability.host import kubeapi

_API_SECONDS = 10
_SERVER_LABELS = ("node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master")


def list_nodes(kubeconfig: Path) -> list[Node]:
    """Raises UnreachableError when the cluster does not answer."""
    try:
        listed = kubeapi.core(kubeconfig).list_node(_request_timeout=_API_SECONDS).items
    except (client.ApiException, urllib3.exceptions.HTTPError) as error:
        raise UnreachableError(
            f"the cluster of {kubeconfig} cannot be reached: {kubeapi.reason(error)}; "
            "`pulumi up` starts a stack's cluster that is stopped"
        ) from None
    return [
        Node(
            str(node.metadata.name),
            any(label in (node.metadata.labels or {}) for label in _SERVER_LABELS),
        )
        for node in listed
        if node.metadata
    ]
