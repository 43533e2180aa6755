"""The Kubernetes API of a stack's cluster."""

from __future__ import annotations

from pathlib import Path

from kubernetes import client, config


def core(kubeconfig: Path) -> client.CoreV1Api:
    """Past any proxy of the user's: the API is on 127.0.0.1."""
    direct = client.Configuration(no_proxy="*")
    return client.CoreV1Api(
        config.new_client_from_config(str(kubeconfig), client_configuration=direct)  # type: ignore[no-untyped-call]
    )
