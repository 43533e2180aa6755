"""The probe's pod: created, waited for, and deleted."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import urllib3
from kubernetes import client

NAMESPACE = "default"
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
def probe_pod(api: client.CoreV1Api, image: str, seconds: float) -> Iterator[CreatedPod]:
    """A pod that does nothing and is deleted at the end, whatever happens.

    Tries for up to ``seconds`` to create it; raises ProbeError when it is refused.
    """
    name = f"trace-probe-{secrets.token_hex(4)}"
    created_at, audit_id = _create(api, _manifest(name, image), seconds)
    try:
        yield CreatedPod(name, audit_id, created_at)
    finally:
        api.delete_namespaced_pod(name, NAMESPACE, grace_period_seconds=0, _request_timeout=10)


def wait_until_started(api: client.CoreV1Api, pod: CreatedPod, seconds: float) -> None:
    """ProbeError when it stays pending: a start that fails leaves a trace too, but proves less."""
    while (state := state_of(api, pod)).startswith("Pending"):
        if time.time() > pod.created_at + seconds:
            raise ProbeError(
                f"the trace of pod {pod.key} arrived, but within {seconds:g} s the pod did not "
                f"start: {state}. Set probeImage to an image that the nodes can pull"
            )
        time.sleep(_POLL_SECONDS)


def state_of(api: client.CoreV1Api, pod: CreatedPod) -> str:
    """The pod's phase, and what its containers wait for."""
    try:
        status = api.read_namespaced_pod(pod.name, NAMESPACE, _request_timeout=5).status
    except (client.ApiException, urllib3.exceptions.HTTPError) as error:
        return f"cannot be read ({reason_of(error)})"
    waiting = [
        container.state.waiting.reason
        for container in (status and status.container_statuses) or []
        if container.state and container.state.waiting
    ]
    return ", ".join([str(status and status.phase), *map(str, waiting)])


def reason_of(error: Exception) -> str:
    """The API server's own message, where the error holds one."""
    if isinstance(error, client.ApiException) and error.body:
        try:
            return str(json.loads(error.body)["message"])
        except (ValueError, KeyError):
            return str(error.body)
    return str(error)


def _create(api: client.CoreV1Api, pod: client.V1Pod, seconds: float) -> tuple[float, str]:
    """The Unix time of the request that succeeded, and its audit id."""
    deadline = time.monotonic() + seconds
    while True:
        created_at = time.time()
        try:
            _, _, headers = api.create_namespaced_pod_with_http_info(
                NAMESPACE, pod, _request_timeout=10
            )
        except client.ApiException as error:
            # A new cluster creates a namespace's service account a moment after the namespace.
            if error.status != 403 or time.monotonic() > deadline:
                raise ProbeError(
                    f"the probe's pod cannot be created: {reason_of(error)}"
                ) from error
            time.sleep(_POLL_SECONDS)
            continue
        lower_case = {name.lower(): value for name, value in headers.items()}
        return created_at, lower_case.get("audit-id", "")


def _manifest(name: str, image: str) -> client.V1Pod:
    return client.V1Pod(
        metadata=client.V1ObjectMeta(name=name, labels={"app": "trace-probe"}),
        spec=client.V1PodSpec(
            restart_policy="Never",
            automount_service_account_token=False,
            enable_service_links=False,
            termination_grace_period_seconds=0,
            containers=[
                client.V1Container(name="probe", image=image, image_pull_policy="IfNotPresent")
            ],
        ),
    )
