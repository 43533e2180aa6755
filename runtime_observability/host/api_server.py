"""A stack's API server, with the credentials of the kubeconfig that k3d wrote for it.

Without the Kubernetes client: its import costs a second of the processor, and every `pulumi up`
would wait for it three times. It is used where a kubeconfig may be any (``kubeapi``).
"""

from __future__ import annotations

import base64
import json
import ssl
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import yaml

from runtime_observability.host.http import httpx

_SECONDS = 5
"""Without a limit, one lost answer would take the whole time of a wait."""
_WRITE_SECONDS = 10
UNUSABLE = (
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    RecursionError,
    yaml.YAMLError,
    httpx.InvalidURL,
)
"""What reading a text that is not a kubeconfig raises; ssl.SSLError is an OSError."""


class UnusableKubeconfigError(Exception):
    """The kubeconfig is missing, or names no server, authority or credentials that can be used."""


class ApiError(Exception):
    """The API server answered with ``status``; the message is its own, where it sent one."""

    def __init__(self, response: httpx.Response) -> None:
        super().__init__(_message(response))
        self.status = response.status_code


FAILURES = (ApiError, httpx.HTTPError)
"""What a request raises: an answer that is an error, or none."""


@dataclass(frozen=True)
class Answer:
    """The JSON document and the headers of an answer."""

    document: dict[str, Any]
    headers: Mapping[str, str]


class ApiServer:
    """Requests to the server of a kubeconfig's current context. Raises UnusableKubeconfigError."""

    def __init__(self, kubeconfig: Path) -> None:
        try:
            document = yaml.safe_load(kubeconfig.read_text(encoding="utf-8"))
            context = _named(document["contexts"], document["current-context"])["context"]
            cluster = _named(document["clusters"], context["cluster"])["cluster"]
            user = _named(document["users"], context["user"])["user"]
            url = httpx.URL(cluster["server"])
            tls = ssl.create_default_context(cadata=_decoded(cluster["certificate-authority-data"]))
            _present(tls, user)
            headers = {"Authorization": f"Bearer {user['token']}"} if "token" in user else {}
        except UNUSABLE as error:
            raise UnusableKubeconfigError(f"{kubeconfig} cannot be used: {error}") from error
        self._client = httpx.Client(
            base_url=url, headers=headers, verify=tls, timeout=_SECONDS, trust_env=False
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def status(self, path: str) -> int:
        """The HTTP status of ``path``, such as /readyz."""
        return self._client.get(path).status_code

    def get(self, path: str) -> dict[str, Any]:
        return self._checked(self._client.get(path)).document

    def post(self, path: str, document: Mapping[str, Any]) -> Answer:
        return self._checked(self._client.post(path, json=dict(document), timeout=_WRITE_SECONDS))

    def delete(self, path: str, **parameters: Any) -> None:
        self._checked(self._client.delete(path, params=parameters, timeout=_WRITE_SECONDS))

    def _checked(self, response: httpx.Response) -> Answer:
        if response.is_error:
            raise ApiError(response)
        try:
            document = response.json()
        except (ValueError, RecursionError):
            document = None
        if not isinstance(document, dict):
            raise ApiError(response)
        return Answer(document, response.headers)


def reason(error: Exception) -> str:
    """``error``, one of FAILURES, in one line."""
    if isinstance(error, ApiError):
        return f"{error.status} {error}"
    return str(error) or type(error).__name__


def _message(response: httpx.Response) -> str:
    try:
        return str(json.loads(response.text)["message"])
    except (ValueError, LookupError, TypeError):
        return response.text or response.reason_phrase


def _named(entries: list[Mapping[str, Any]], name: str) -> Mapping[str, Any]:
    return {entry["name"]: entry for entry in entries}[name]


def _present(tls: ssl.SSLContext, user: Mapping[str, Any]) -> None:
    """Loads the user's certificate and key, from a private file: ``ssl`` takes them from files."""
    if "client-certificate-data" not in user:
        return
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".pem") as file:
        file.write(_decoded(user["client-certificate-data"]) + "\n")
        file.write(_decoded(user["client-key-data"]))
        file.flush()
        tls.load_cert_chain(file.name, password="")  # an encrypted key fails and is not asked for


def _decoded(base64_pem: str) -> str:
    pem = base64.b64decode(base64_pem, validate=True).decode()
    if not pem:
        raise ValueError("no certificate")  # ssl would take that for the system's authorities
    return pem
