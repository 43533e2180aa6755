"""The API server of any kubeconfig, through the Kubernetes client."""

from __future__ import annotations

from http import HTTPStatus
from pathlib import Path
from typing import Any

from runtime_observability.host import kubeapi
from runtime_observability.host.api_server import ApiError
from runtime_observability.host.http import httpx

_SECONDS = 5


class AnyCluster:
    """Raises KubeconfigError."""

    def __init__(self, kubeconfig: Path) -> None:
        self._api = kubeapi.Reader(kubeconfig)

    def get(self, path: str) -> dict[str, Any]:
        """Raises what ``api_server.FAILURES`` lists, as ApiServer does."""
        try:
            answer = self._api.read(path, _SECONDS)
        except kubeapi.RequestError as error:
            raise httpx.TransportError(str(error)) from None
        if answer.status >= HTTPStatus.BAD_REQUEST:
            raise _error(answer.status, answer.text.decode(errors="replace"))
        document = answer.document
        if document is None:
            raise _error(answer.status, "an answer without a JSON object")
        return document


def _error(status: int, text: str) -> ApiError:
    return ApiError(httpx.Response(status, text=text))
