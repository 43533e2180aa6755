"""The API server of any kubeconfig, through the Kubernetes client."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import urllib3
from kubernetes import client

from runtime_observability.host import kubeapi
from runtime_observability.host.api_server import ApiError
from runtime_observability.host.kubeapi import KubeconfigError

__all__ = ["AnyCluster", "KubeconfigError"]
_SECONDS = 5


class AnyCluster:
    """Raises KubeconfigError."""

    def __init__(self, kubeconfig: Path) -> None:
        self._api = kubeapi.core(kubeconfig).api_client

    def get(self, path: str) -> dict[str, Any]:
        """Raises what ``api_server.FAILURES`` lists, as ApiServer does."""
        request = self._api.param_serialize(
            "GET",
            path,
            header_params={"Accept": "application/json"},
            auth_settings=["BearerToken"],
        )
        try:
            answer = self._api.call_api(*request, _request_timeout=_SECONDS)
            status, body = answer.status, answer.read()
        except client.ApiException as error:
            raise _error(error.status or 0, str(error.body or error.reason)) from None
        except urllib3.exceptions.HTTPError as error:
            raise httpx.TransportError(kubeapi.reason(error)) from None
        if status >= 400:
            raise _error(status, body.decode(errors="replace"))
        try:
            document = json.loads(body)
        except ValueError:
            document = None
        if not isinstance(document, dict):
            raise _error(status, "an answer without a JSON object")
        return document


def _error(status: int, text: str) -> ApiError:
    return ApiError(httpx.Response(status, text=text))
