"""Asks a stack's API server whether it is ready, with the credentials of the stack's kubeconfig.

Without the Kubernetes client, whose import would take most of a preview.
"""

from __future__ import annotations

import base64
import ssl
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import yaml

_SECONDS = 5
_UNUSABLE = (
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    yaml.YAMLError,
    httpx.InvalidURL,
)
"""What reading a text that is not a kubeconfig raises; ssl.SSLError is an OSError."""


class UnusableKubeconfigError(Exception):
    """The kubeconfig is missing, or names no server, authority or credentials that can be used."""


def status(kubeconfig: Path) -> int:
    """The HTTP status of /readyz. Raises UnusableKubeconfigError or httpx.HTTPError."""
    try:
        document = yaml.safe_load(kubeconfig.read_text())
        context = _named(document["contexts"], document["current-context"])["context"]
        cluster = _named(document["clusters"], context["cluster"])["cluster"]
        user = _named(document["users"], context["user"])["user"]
        url = httpx.URL(f"{cluster['server']}/readyz")
        tls = ssl.create_default_context(cadata=_decoded(cluster["certificate-authority-data"]))
        _present(tls, user)
        headers = {"Authorization": f"Bearer {user['token']}"} if "token" in user else {}
    except _UNUSABLE as error:
        raise UnusableKubeconfigError(str(error)) from error
    return httpx.get(
        url, headers=headers, verify=tls, timeout=_SECONDS, trust_env=False
    ).status_code


def _named(entries: list[Mapping[str, Any]], name: str) -> Mapping[str, Any]:
    return {entry["name"]: entry for entry in entries}[name]


def _present(tls: ssl.SSLContext, user: Mapping[str, Any]) -> None:
    """Loads the user's certificate and key, from a private file: ``ssl`` takes them from files."""
    if "client-certificate-data" not in user:
        return
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
        file.write(_decoded(user["client-certificate-data"]) + "\n")
        file.write(_decoded(user["client-key-data"]))
        file.flush()
        tls.load_cert_chain(file.name, password="")  # an encrypted key fails and is not asked for


def _decoded(base64_pem: str) -> str:
    pem = base64.b64decode(base64_pem, validate=True).decode()
    if not pem:
        raise ValueError("no certificate")  # ssl would take that for the system's authorities
    return pem
