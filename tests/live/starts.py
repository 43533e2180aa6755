"""A pod's start as Jaeger tells it."""

from __future__ import annotations

from tests.live.stack import Stack
from tests.live.traces import Trace, search

SECONDS = 15.0
"""Within which a pod's start must be readable: far more than it takes, so that a busy machine
does not fail a test."""

_CALLS = {
    f"runtime.v1.RuntimeService/{call}"
    for call in ("RunPodSandbox", "CreateContainer", "StartContainer")
}


def promised(stack: Stack) -> set[str]:
    """The services in a pod's trace."""
    silent = stack.config.get("containerdTracing") == "off"
    return {"kubelet"} if silent else {"kubelet", "containerd"}


def start_of(stack: Stack, pod: str) -> Trace | None:
    """The trace of a pod's start, once all calls to the runtime are in it."""
    for trace in search(stack.jaeger_url, "kubelet", "syncPod", {"k8s.pod": f"default/{pod}"}):
        if all(trace.operations(service) >= _CALLS for service in promised(stack)):
            return trace
    return None
