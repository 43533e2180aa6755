"""The Kubernetes API of a stack's cluster, or of any that a kubeconfig names."""

from __future__ import annotations

import ssl
from pathlib import Path

from kubernetes import client, config


class KubeconfigError(Exception):
    """A kubeconfig that cannot be used, and why."""


def core(kubeconfig: Path) -> client.CoreV1Api:
    return client.CoreV1Api(client.ApiClient(configuration(kubeconfig)))


def configuration(kubeconfig: Path) -> client.Configuration:
    """The server of the current context, and the right to ask it.

    Past any proxy of the environment's: a stack's API is on 127.0.0.1.
    """
    given = client.Configuration(proxy="")
    try:
        config.load_kube_config(str(kubeconfig), client_configuration=given)  # type: ignore[no-untyped-call]
        tls(given)
    except (config.ConfigException, OSError, ValueError) as error:
        raise KubeconfigError(f"{kubeconfig} cannot be used: {error}") from None
    return given


def tls(given: client.Configuration, *, with_certificate: bool = True) -> ssl.SSLContext | None:
    """How the server is checked and, by its certificate, the user; None for plain HTTP."""
    if not given.host.startswith("https:"):
        return None
    context = ssl.create_default_context(cafile=given.ssl_ca_cert or None)
    if not given.verify_ssl:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if given.cert_file and with_certificate:
        context.load_cert_chain(given.cert_file, given.key_file)
    return context


def reason(error: Exception) -> str:
    """The last cause of an error in one line: urllib3 wraps the one that matters."""
    if isinstance(error, client.ApiException):
        return f"{error.status} {error.reason}"
    inner = getattr(error, "reason", None) or error
    return str(inner).rpartition(": ")[2].strip()
