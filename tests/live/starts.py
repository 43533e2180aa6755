"""A pod's start and a node's boot in Jaeger."""

from __future__ import annotations

import json
from datetime import datetime

from tests.live.stack import Stack
from tests.live.traces import Trace, search

SECONDS = 15.0
"""How long a pod's start may take to be in Jaeger: far more than it needs, so that no test fails
on a busy machine."""

RETRY_SECONDS = 60
"""How long the nodes' exporters try again (OTLP gRPC exporter of OpenTelemetry for Go)."""

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


def boot_of(stack: Stack, service: str) -> list[Trace]:
    """Traces of ``service`` from before its node was known to Kubernetes for two seconds."""
    started = stack.docker.inspect(stack.server)["State"]["StartedAt"]
    node = json.loads(stack.kubectl("get", "node", stack.server, "-o", "json"))
    created = datetime.fromisoformat(node["metadata"]["creationTimestamp"])
    since = datetime.fromisoformat(started).timestamp()
    return search(stack.jaeger_url, service, since=since, before=created.timestamp() + 2)
