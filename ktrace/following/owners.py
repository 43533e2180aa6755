"""The cluster's pods and whose they are."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

import urllib3
from kubernetes import client

from runtime_observability.host import kubeapi

_POLL_SECONDS = 0.7
_API_SECONDS = 10


@dataclass(frozen=True)
class PodInfo:
    namespace: str
    name: str
    uid: str = ""
    phase: str = ""
    owners: tuple[str, ...] = ()
    """uids of its owners, and theirs."""
    settled: bool = True
    """Not starting and not ending: its containers are ready, or have all ended."""


class Owners:
    """Remembers pods and who owns whom, so that what is gone again is known as well."""

    def __init__(self, kubeconfig: Path) -> None:
        self._api = kubeapi.core(kubeconfig).api_client
        self._owners: dict[str, tuple[str, ...]] = {}
        self._there: set[str] = set()
        self._first: set[str] | None = None
        self.pods: dict[str, PodInfo] = {}
        self.problem = ""
        """Why the last look saw nothing."""

    def look(self) -> None:
        """Reads all pods; a cluster that does not answer leaves what is known."""
        try:
            listed = self._get("/api/v1/pods").get("items", [])
        except (client.ApiException, urllib3.exceptions.HTTPError) as error:
            self.problem = f"the cluster's pods cannot be listed: {kubeapi.reason(error)}"
            return
        self.problem = ""
        for pod in listed:
            meta, status = pod["metadata"], pod["status"]
            self.pods[meta["uid"]] = PodInfo(
                meta["namespace"],
                meta["name"],
                meta["uid"],
                status.get("phase", ""),
                self._chain(meta["namespace"], meta.get("ownerReferences", [])),
                "deletionTimestamp" not in meta and _settled(status),
            )
        self._there = {pod["metadata"]["uid"] for pod in listed}
        if self._first is None:
            self._first = self._there

    @contextmanager
    def looking(self) -> Iterator[None]:
        """Looks again and again, so that a pod that lives only meanwhile is seen."""
        ended = threading.Event()

        def look() -> None:
            while not ended.wait(_POLL_SECONDS):
                self.look()

        thread = threading.Thread(target=look, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def is_there(self, pod: PodInfo) -> bool:
        return pod.uid in self._there

    def is_new(self, pod: PodInfo) -> bool:
        """Whether the first look did not see it."""
        return pod.uid not in (self._first or ())

    def _chain(self, namespace: str, references: Iterable[dict[str, Any]]) -> tuple[str, ...]:
        found: list[str] = []
        for reference in references:
            uid = reference["uid"]
            if uid not in self._owners:
                self._owners[uid] = self._above(namespace, reference)
            found += [uid, *self._owners[uid]]
        return tuple(found)

    def _above(self, namespace: str, reference: dict[str, Any]) -> tuple[str, ...]:
        """Owners of an owner: a ReplicaSet's Deployment, a Job's CronJob, an operator's kinds."""
        group = reference["apiVersion"]
        root = f"/apis/{group}" if "/" in group else f"/api/{group}"
        plural = _plural(reference["kind"])
        path = f"{root}/namespaces/{namespace}/{plural}/{reference['name']}"
        try:
            above = self._get(path)["metadata"].get("ownerReferences", [])
        except (client.ApiException, urllib3.exceptions.HTTPError):
            return ()
        return self._chain(namespace, above)

    def _get(self, path: str) -> dict[str, Any]:
        asked = self._api.param_serialize(
            "GET",
            path,
            header_params={"Accept": "application/json"},
            auth_settings=["BearerToken"],
        )
        answer = self._api.call_api(*asked, _request_timeout=_API_SECONDS)
        status, body = answer.status, answer.read()
        if status != HTTPStatus.OK:
            raise client.ApiException(status=status, reason=answer.reason)
        document: dict[str, Any] = json.loads(body)
        return document


def _settled(status: dict[str, Any]) -> bool:
    phase = status.get("phase")
    if phase == "Running":
        ready = (each for each in status.get("conditions", []) if each["type"] == "Ready")
        return any(each["status"] == "True" for each in ready)
    return phase in ("Succeeded", "Failed")


def _plural(kind: str) -> str:
    """The resource's name as the API's convention has it."""
    name = kind.lower()
    if name.endswith("y") and name[-2:-1] not in "aeiou":
        return f"{name[:-1]}ies"
    return f"{name}es" if name.endswith(("s", "x", "ch", "sh")) else f"{name}s"
