"""The probe's pod: created, waited for, and deleted."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from runtime_observability.host import api_server
from runtime_observability.host.api_server import ApiError, ApiServer

NAMESPACE = "default"
_PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
_FORBIDDEN = 403
_POLL_SECONDS = 0.2


class ProbeError(Exception):
    """The probe did not find what it must; the message names the cause and what was seen."""


@dataclass(frozen=True)
class CreatedPod:
    name: str
    audit_id: str
    """The API server's id of the request that created the pod; empty where it sends none."""
    created_at: float
    """Unix time in seconds, just before the request."""

    @property
    def key(self) -> str:
        return f"{NAMESPACE}/{self.name}"

    @property
    def since(self) -> int:
        """From when to search for its spans, in microseconds: clocks may differ by a second."""
        return int((self.created_at - 1) * 1_000_000)


@contextmanager
def probe_pod(api: ApiServer, image: str, seconds: float) -> Iterator[CreatedPod]:
    """A pod that does nothing and is deleted at the end, whatever happens.

    Tries for up to ``seconds`` to create it; raises ProbeError when it is refused.
    """
    name = f"trace-probe-{secrets.token_hex(4)}"
    created_at, audit_id = _create(api, _manifest(name, image), seconds)
    try:
        yield CreatedPod(name, audit_id, created_at)
    finally:
        api.delete(f"{_PODS}/{name}", gracePeriodSeconds=0)


def wait_until_started(api: ApiServer, pod: CreatedPod, seconds: float) -> None:
    """ProbeError when it stays pending: a start that fails leaves a trace too, but proves less."""
    while (state := state_of(api, pod)).startswith("Pending"):
        if time.time() > pod.created_at + seconds:
            raise ProbeError(
                f"the trace of pod {pod.key} arrived, but within {seconds:g} s the pod did not "
                f"start: {state}. Set probeImage to an image that the nodes can pull"
            )
        time.sleep(_POLL_SECONDS)


def state_of(api: ApiServer, pod: CreatedPod) -> str:
    """The pod's phase, and what its containers wait for."""
    try:
        status = api.get(f"{_PODS}/{pod.name}")["status"]
    except api_server.FAILURES as error:
        return f"cannot be read ({error})"
    states = (container.get("state", {}) for container in status.get("containerStatuses", []))
    waiting = (state["waiting"].get("reason") for state in states if "waiting" in state)
    return ", ".join([str(status.get("phase")), *map(str, waiting)])


def _create(api: ApiServer, pod: dict[str, Any], seconds: float) -> tuple[float, str]:
    """The Unix time of the request that succeeded, and its audit id."""
    deadline = time.monotonic() + seconds
    while True:
        created_at = time.time()
        try:
            created = api.post(_PODS, pod)
        except ApiError as error:
            # A new cluster creates a namespace's service account a moment after the namespace.
            if error.status != _FORBIDDEN or time.monotonic() > deadline:
                raise ProbeError(f"the probe's pod cannot be created: {error}") from error
            time.sleep(_POLL_SECONDS)
            continue
        return created_at, created.headers.get("audit-id", "")


def _manifest(name: str, image: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": "trace-probe"}},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": 0,
            "containers": [{"name": "probe", "image": image, "imagePullPolicy": "IfNotPresent"}],
        },
    }
