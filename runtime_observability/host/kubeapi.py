"""Clients for the Kubernetes API of a stack's cluster, or of any that a kubeconfig names."""

from __future__ import annotations

import re
import ssl
from pathlib import Path

import yaml
from kubernetes import client, config

_UNUSABLE = (
    config.ConfigException,
    OSError,
    ValueError,
    TypeError,
    AttributeError,
    yaml.YAMLError,
)
"""What the Kubernetes client raises for a text that is not a kubeconfig."""


class KubeconfigError(Exception):
    """A kubeconfig that cannot be used; the message has the reason."""


def core(kubeconfig: Path) -> client.CoreV1Api:
    return client.CoreV1Api(client.ApiClient(configuration(kubeconfig)))


def configuration(kubeconfig: Path) -> client.Configuration:
    """The server and the credentials of the kubeconfig's current context.

    Ignores the environment's proxy: a stack's API server is on 127.0.0.1. Raises KubeconfigError.
    """
    access = client.Configuration(proxy="")
    try:
        config.load_kube_config(str(kubeconfig), client_configuration=access)  # type: ignore[no-untyped-call]
        tls(access)
    except _UNUSABLE as error:
        # ConfigException repeats the entry that it is about, and with it credentials.
        why = re.sub(r"\{.*\}", "…", " ".join(str(error).split()))
        raise KubeconfigError(f"{kubeconfig} cannot be used: {why}") from None
    if not access.host:
        raise KubeconfigError(f"{kubeconfig} cannot be used: its cluster has no server")
    return access


def tls(access: client.Configuration, *, with_certificate: bool = True) -> ssl.SSLContext | None:
    """A context that verifies the server and presents the user's certificate; None for plain HTTP.

    Without ``with_certificate`` the user's certificate is left out.
    """
    if not access.host.startswith("https:"):
        return None
    context = ssl.create_default_context(cafile=access.ssl_ca_cert or None)
    if not access.verify_ssl:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if access.cert_file and with_certificate:
        context.load_cert_chain(access.cert_file, access.key_file)
    return context


def reason(error: Exception) -> str:
    """The root cause of ``error`` in one line: urllib3 wraps it in errors of its own."""
    if isinstance(error, client.ApiException):
        return f"{error.status} {error.reason}"
    inner = getattr(error, "reason", None) or error
    return str(inner).rpartition(": ")[2].strip()
