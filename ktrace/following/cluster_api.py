"""Reads from the cluster of a kubeconfig, and its resources by their kinds."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ktrace.text import clean, cleaned
from runtime_observability.host import kubeapi

_API_SECONDS = 10


class ReadError(Exception):
    """The API server gave no document; the message is the reason in one line.

    ``status`` is 0 if it gave no answer at all.
    """

    def __init__(self, reason: str, status: int = 0) -> None:
        super().__init__(reason)
        self.status = status


class ClusterApi:
    """GET requests as the user of the kubeconfig; the text of the answers is clean."""

    def __init__(self, kubeconfig: Path) -> None:
        self._api = kubeapi.Reader(kubeconfig)
        self._resources: dict[str, dict[str, tuple[str, bool]]] = {}
        self.first_answer: datetime | None = None
        """By the API server's clock."""

    def get(self, path: str) -> dict[str, Any]:
        """Raises ReadError."""
        try:
            answer = self._api.read(path, _API_SECONDS)
        except kubeapi.RequestError as error:
            raise ReadError(clean(str(error))) from None
        if self.first_answer is None:
            self.first_answer = _date(answer.date)
        if answer.status != HTTPStatus.OK:
            raise ReadError(clean(f"{answer.status} {answer.reason}"), answer.status)
        document = answer.document
        if document is None:
            raise ReadError("the answer is not a JSON object", answer.status)
        harmless: dict[str, Any] = cleaned(document)
        return harmless

    def path_of(self, api_version: str, kind: str, namespace: str, name: str) -> str:
        """The URL's path of an object, by the API's own list of resources.

        Raises ReadError; with status 404 if the API has no such kind.
        """
        root = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
        if root not in self._resources:
            self._resources[root] = _by_kind(self.get(root))
        if kind not in self._resources[root]:
            del self._resources[root]  # a CustomResourceDefinition may add it
            raise ReadError(f"{root} has no {kind}", HTTPStatus.NOT_FOUND)
        plural, namespaced = self._resources[root][kind]
        place = f"namespaces/{quote(namespace)}/" if namespaced else ""
        return f"{root}/{place}{quote(plural)}/{quote(name)}"


def _by_kind(listed: dict[str, Any]) -> dict[str, tuple[str, bool]]:
    """Each kind's name in URLs, and whether it has a namespace, from an APIResourceList."""
    try:
        return {
            resource["kind"]: (resource["name"], bool(resource.get("namespaced")))
            for resource in listed.get("resources") or ()
            if "/" not in resource["name"]
        }
    except (LookupError, TypeError, AttributeError):
        raise ReadError("the answer is not a list of resources", HTTPStatus.OK) from None


def _date(header: str | None) -> datetime | None:
    try:
        return parsedate_to_datetime(header or "").replace(tzinfo=UTC)
    except ValueError:
        return None
