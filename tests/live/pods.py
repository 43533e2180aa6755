"""Busybox pods for the tests, deleted when a test no longer needs them."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tests.live.stack import Stack
from tests.live.waiting import until

BUSYBOX = "docker.io/library/busybox:1.35"
PULL_SECONDS = 180.0
"""How long a pod may take to run: its node may have to pull the image first."""


@dataclass(frozen=True)
class Pods:
    """Pods named ``name``-0, ``name``-1 and so on, in namespace default."""

    stack: Stack
    name: str

    @property
    def phases(self) -> dict[str, str]:
        listed = self.stack.kubectl("get", "pods", "-l", f"test={self.name}", "-o", "json")
        return {
            pod["metadata"]["name"]: pod["status"]["phase"] for pod in json.loads(listed)["items"]
        }

    def wait_for(self, phase: str, seconds: float = PULL_SECONDS) -> None:
        until(
            f"every pod of {self.name} in phase {phase}",
            lambda: set(self.phases.values()) == {phase},
            seconds,
        )


@contextmanager
def pods(
    stack: Stack, *command: str, count: int = 1, name: str = "", **spec: Any
) -> Iterator[Pods]:
    """``count`` pods, created by one ``kubectl apply``; ``spec`` is merged into each pod's spec.

    ``name`` is theirs without the number; by default one that nothing else has.
    """
    name = name or f"test-{secrets.token_hex(3)}"
    container = {"name": "main", "image": BUSYBOX, "command": list(command)}
    items = [
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": f"{name}-{number}", "labels": {"test": name}},
            "spec": {
                "restartPolicy": "Never",
                "terminationGracePeriodSeconds": 0,
                "automountServiceAccountToken": False,
                "containers": [container],
                **spec,
            },
        }
        for number in range(count)
    ]
    document = {"apiVersion": "v1", "kind": "List", "items": items}
    stack.kubectl("apply", "-f", "-", stdin=json.dumps(document))
    try:
        yield Pods(stack, name)
    finally:
        # Unchecked: an error here must not hide the test's own failure.
        removal = ("delete", "pods", "-l", f"test={name}", "--now", "--wait=false")
        stack.kubectl(*removal, check=False)


def deployment_of(name: str, replicas: int, *, grace: int = 0, **container: Any) -> dict[str, Any]:
    """A Deployment of busybox pods with the label ``app``; ``container`` is merged into theirs."""
    labels = {"app": name}
    main = {"name": "main", "image": BUSYBOX, "command": ["sleep", "600"], **container}
    spec = {"terminationGracePeriodSeconds": grace, "containers": [main]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": spec},
        },
    }


def wait_for_api(stack: Stack) -> None:
    """Waits until pods can be created: they need a service account, which the cluster adds late."""
    command = ("get", "serviceaccount", "default", "--request-timeout=5s")
    until("the API with a service account", lambda: stack.kubectl(*command, check=False), 120)


def expect_a_pod_to_run(stack: Stack) -> None:
    """Fails unless a pod runs to its end.

    After a restart a Ready node proves little: the stored status may be from before it.
    """
    wait_for_api(stack)
    with pods(stack, "true") as single:
        single.wait_for("Succeeded")


@contextmanager
def a_bare_pod(stack: Stack) -> Iterator[Callable[[], tuple[str, int]]]:
    """A running pod that nothing would recreate: its uid, and how often its container restarted.

    It is on the first server: one on an agent goes with that.
    """
    wait_for_api(stack)
    command = ("sleep", "3600")
    with pods(stack, *command, restartPolicy="Always", nodeName=stack.server) as bare:
        bare.wait_for("Running")

        def seen() -> tuple[str, int]:
            listed = stack.kubectl("get", "pods", "-l", f"test={bare.name}", "-o", "json")
            (pod,) = json.loads(listed)["items"]
            (status,) = pod["status"]["containerStatuses"]
            return pod["metadata"]["uid"], status["restartCount"]

        yield seen
