"""A pod's start in Jaeger."""

from __future__ import annotations

from tests.live.stack import Stack
from tests.live.traces import Trace, search

SECONDS = 15.0
"""How long a pod's start may take to be in Jaeger: far more than it needs, so that no test fails
on a busy machine."""

_CALLS = {
    f"runtime.v1.RuntimeService/{call}"
    for call in ("RunPodSandbox", "CreateContainer", "StartContainer")
}


def promised(stack: Stack) -> set[str]:
    """The services that a pod's trace must contain."""
    silent = stack.config.get("containerdTracing") == "off"
    return {"kubelet"} if silent else {"kubelet", "containerd"}


def start_of(stack: Stack, pod: str) -> Trace | None:
    """The trace of a pod's start, once all calls to the runtime are in it."""
    for trace in search(stack.jaeger_url, "kubelet", "syncPod", {"k8s.pod": f"default/{pod}"}):
        if all(trace.operations(service) >= _CALLS for service in promised(stack)):
            return trace
    return None
