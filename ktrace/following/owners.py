"""The cluster's pods and their owners."""

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
    """A pod as it was last listed; without ``uid`` it never was."""

    namespace: str
    name: str
    uid: str = ""
    phase: str = ""
    owners: tuple[str, ...] = ()
    """uids of its owners, of theirs, and so on."""
    settled: bool = True
    """Neither starting nor ending: its containers are ready, or all have ended."""


class PodOwners:
    """Lists pods and reads their owners, and remembers both after they are deleted."""

    def __init__(self, kubeconfig: Path) -> None:
        self._api = kubeapi.core(kubeconfig).api_client
        self._owners: dict[str, tuple[str, ...]] = {}
        self._existing: set[str] = set()
        self._initial: set[str] | None = None
        self.pods: dict[str, PodInfo] = {}
        """Every pod that was ever listed, by uid."""
        self.problem = ""
        """Why the last refresh failed; empty after one that succeeded."""

    def refresh(self) -> None:
        """Lists all pods; what is known stays if the API server does not answer."""
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
                self._all_owners(meta["namespace"], meta.get("ownerReferences", [])),
                "deletionTimestamp" not in meta and _is_settled(status),
            )
        self._existing = {pod["metadata"]["uid"] for pod in listed}
        if self._initial is None:
            self._initial = self._existing

    @contextmanager
    def refreshing(self) -> Iterator[None]:
        """Refreshes within the context, so that a pod which exists only meanwhile is listed."""
        ended = threading.Event()

        def refresh_until_ended() -> None:
            while not ended.wait(_POLL_SECONDS):
                self.refresh()

        thread = threading.Thread(target=refresh_until_ended, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def exists(self, pod: PodInfo) -> bool:
        """Whether the last refresh listed it."""
        return pod.uid in self._existing

    def is_new(self, pod: PodInfo) -> bool:
        """Whether the first refresh did not list it."""
        return pod.uid not in (self._initial or ())

    def _all_owners(self, namespace: str, references: Iterable[dict[str, Any]]) -> tuple[str, ...]:
        owners: list[str] = []
        for reference in references:
            uid = reference["uid"]
            if uid not in self._owners:
                self._owners[uid] = self._owners_of(namespace, reference)
            owners += [uid, *self._owners[uid]]
        return tuple(owners)

    def _owners_of(self, namespace: str, reference: dict[str, Any]) -> tuple[str, ...]:
        """Owners of an owner: a ReplicaSet's Deployment, a Job's CronJob, an operator's kinds."""
        group = reference["apiVersion"]
        root = f"/apis/{group}" if "/" in group else f"/api/{group}"
        plural = _plural(reference["kind"])
        path = f"{root}/namespaces/{namespace}/{plural}/{reference['name']}"
        try:
            references = self._get(path)["metadata"].get("ownerReferences", [])
        except (client.ApiException, urllib3.exceptions.HTTPError):
            return ()
        return self._all_owners(namespace, references)

    def _get(self, path: str) -> dict[str, Any]:
        request = self._api.param_serialize(
            "GET",
            path,
            header_params={"Accept": "application/json"},
            auth_settings=["BearerToken"],
        )
        answer = self._api.call_api(*request, _request_timeout=_API_SECONDS)
        status, body = answer.status, answer.read()
        if status != HTTPStatus.OK:
            raise client.ApiException(status=status, reason=answer.reason)
        document: dict[str, Any] = json.loads(body)
        return document


def _is_settled(status: dict[str, Any]) -> bool:
    phase = status.get("phase")
    if phase == "Running":
        conditions = status.get("conditions", [])
        return any(
            condition["status"] == "True"
            for condition in conditions
            if condition["type"] == "Ready"
        )
    return phase in ("Succeeded", "Failed")


def _plural(kind: str) -> str:
    """The name of a kind's resource by the API's convention."""
    name = kind.lower()
    if name.endswith("y") and name[-2:-1] not in "aeiou":
        return f"{name[:-1]}ies"
    return f"{name}es" if name.endswith(("s", "x", "ch", "sh")) else f"{name}s"
