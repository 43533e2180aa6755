"""The Kubernetes API of any kubeconfig, through the Kubernetes client.

The Kubernetes client and TLS are imported on first use: that takes half a second, for which --help
and completion would wait.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    import ssl

    from kubernetes import client

_UNUSABLE = (OSError, ValueError, TypeError, AttributeError, RecursionError, yaml.YAMLError)
"""What the Kubernetes client raises besides its own error for a text that is not a kubeconfig."""
_PASSING = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.REQUEST_TIMEOUT)
"""With these, and with all from 500 on, a server says that the same request may work later."""


class KubeconfigError(Exception):
    """A kubeconfig that cannot be used; the message has the reason."""


class RequestError(Exception):
    """A request without a usable answer; the message has the reason.

    ``status`` is the answer's, None without an answer. ``passing``: a server is there, and the same
    request may work a moment later.
    """

    def __init__(self, message: str, *, status: int | None = None, passing: bool) -> None:
        super().__init__(message)
        self.status = status
        self.passing = passing


@dataclass(frozen=True)
class Answer:
    """What an API server answered, whatever its status."""

    status: int
    reason: str
    """The words after the status."""
    text: bytes
    date: str | None
    """The header Date."""

    @property
    def document(self) -> dict[str, Any] | None:
        """The JSON object that it is; None if it is none."""
        try:
            document = json.loads(self.text)
        except (ValueError, RecursionError):
            return None
        return document if isinstance(document, dict) else None


class Reader:
    """GET requests as the user of a kubeconfig. Raises KubeconfigError."""

    def __init__(self, kubeconfig: Path) -> None:
        from kubernetes import client  # noqa: PLC0415

        access = configuration(kubeconfig)
        access.retries = False  # by itself urllib3 waits four times, and warns on the terminal
        self._api = client.ApiClient(access)

    def read(self, path: str, seconds: float) -> Answer:
        """Raises RequestError where there is no answer."""
        import urllib3  # noqa: PLC0415
        from kubernetes import client  # noqa: PLC0415

        request = self._api.param_serialize(
            "GET", path, header_params={"Accept": "application/json"}, auth_settings=["BearerToken"]
        )
        try:
            answer = self._api.call_api(*request, _request_timeout=seconds)
            text, date = answer.read(), answer.getheader("Date")  # type: ignore[no-untyped-call]
        except (client.ApiException, urllib3.exceptions.HTTPError) as error:
            inner = getattr(error, "reason", None) or error
            passing = not isinstance(inner, urllib3.exceptions.NewConnectionError)
            raise RequestError(reason(error), passing=passing) from None
        return Answer(answer.status, answer.reason or "", text, date)


def get(kubeconfig: Path, path: str, seconds: float) -> dict[str, Any]:
    """The JSON object at ``path``. Raises KubeconfigError and RequestError."""
    answer = Reader(kubeconfig).read(path, seconds)
    status, document = answer.status, answer.document
    if status == HTTPStatus.OK and document is not None:
        return document
    told = f"{status} {(document or {}).get('message') or answer.reason}".strip()
    if status == HTTPStatus.OK:
        told += " without a JSON object: is that a Kubernetes API server?"
    raise RequestError(told, status=status, passing=status >= 500 or status in _PASSING)


def configuration(kubeconfig: Path) -> client.Configuration:
    """The server and the credentials of the kubeconfig's current context.

    Ignores the environment's proxy: a stack's API server is on 127.0.0.1. Raises KubeconfigError.
    """
    from kubernetes import client, config  # noqa: PLC0415

    access = client.Configuration(proxy="")
    try:
        config.load_kube_config(str(kubeconfig), client_configuration=access)  # type: ignore[no-untyped-call]
        tls(access)
    except (config.ConfigException, *_UNUSABLE) as error:
        # ConfigException repeats the entry that it is about, and with it credentials.
        why = re.sub(r"\{.*\}", "…", " ".join(str(error).split()))
        if isinstance(error, TypeError | AttributeError):
            why = "it does not have a kubeconfig's shape"
        raise KubeconfigError(f"{kubeconfig} cannot be used: {why}") from None
    if not access.host:
        raise KubeconfigError(f"{kubeconfig} cannot be used: its cluster has no server")
    return access


def tls(access: client.Configuration, *, with_certificate: bool = True) -> ssl.SSLContext | None:
    """A context that verifies the server and presents the user's certificate; None for plain HTTP.

    Without ``with_certificate`` the user's certificate is left out.
    """
    import ssl  # noqa: PLC0415

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
    from kubernetes import client  # noqa: PLC0415

    if isinstance(error, client.ApiException):
        return f"{error.status} {error.reason}"
    inner = getattr(error, "reason", None) or error
    while inner.args and isinstance(inner.args[-1], Exception):
        inner = inner.args[-1]
    return str(inner).rpartition(": ")[2].strip() or type(inner).__name__
