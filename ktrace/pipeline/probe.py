"""``python -m ktrace.pipeline.probe``: starts a pod and demands its trace.

Reads the document ``Request`` on stdin and prints what it found, which it also writes to the file
``report``::

    {"pod": "default/trace-probe-…",       namespace/name of the pod, which is deleted again
     "seconds": 0.9 | null,                from the pod's creation until its trace is in Jaeger;
                                           null where sampling lets no trace be demanded
     "traceUrl": "…" | null,               the pod's start
     "requestTraceUrl": "…" | null,        the API server's request that created the pod
     "spans": {"kubelet": 12, …},          in the pod's trace, by service
     "traced": ["apiserver", …]}           the components that were found

The file holds two more keys, to compare releases by::

    {"k3sVersion": "v1.34.4-k3s1",
     "tree": [{"component": "kubelet", "operation": "syncPod",
               "startMs": 0.0, "durationMs": 1090.4,     startMs since the trace's first span
               "children": […]}]}                         of the same shape, ordered by start
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ktrace.jaeger import Jaeger, JaegerError
from ktrace.pipeline import hops, pipelines
from ktrace.pipeline.pipelines import StackPipeline
from ktrace.pipeline.probe_pod import (
    ProbeError,
    probe_pod,
    state_of,
    wait_until_started,
)
from ktrace.pipeline.probe_trace import Wanted, services_since, silence, wait_for_trace
from ktrace.pipeline.span_tree import tree
from runtime_observability.host import api_server
from runtime_observability.host.api_server import ApiServer
from runtime_observability.host.files import write_private
from runtime_observability.host.runner import CommandError

FAILURES = (
    ProbeError,
    JaegerError,
    api_server.UnusableKubeconfigError,
    *api_server.FAILURES,
    OSError,
)
"""What ends the probe with one line."""


class SilenceError(ProbeError):
    """``components`` sent nothing."""

    def __init__(self, message: str, components: Sequence[str]) -> None:
        super().__init__(message)
        self.components = tuple(components)


@dataclass(frozen=True)
class Request:
    """The document on stdin; ``seconds`` is the deadline, from the pod's creation."""

    jaegerUrl: str  # noqa: N815  named as in the document
    kubeconfig: str
    image: str
    seconds: float
    demanded: list[str]
    expected: list[str]
    report: str
    k3sVersion: str  # noqa: N815


def probe(
    jaeger: Jaeger,
    api: ApiServer,
    *,
    image: str,
    seconds: float,
    wanted: Wanted,
) -> dict[str, object]:
    """The report with its tree; ProbeError when a wanted component is silent."""
    with probe_pod(api, image, seconds) as pod:
        print(f"pod {pod.key} created, waiting for its trace", file=sys.stderr, flush=True)
        found, waited = wait_for_trace(jaeger, pod, wanted, seconds)
        if waited is None:
            pod_state = state_of(api, pod)
            services = services_since(jaeger, pod)
            message = silence(found, wanted, services, seconds, pod_state)
            raise SilenceError(message, wanted.missing(found))
        wait_until_started(api, pod, seconds)
    return {
        "pod": pod.key,
        "seconds": waited if wanted.demanded else None,
        "traceUrl": jaeger.link(found.start) if found.start else None,
        "requestTraceUrl": jaeger.link(found.request) if found.request else None,
        "spans": found.counts(),
        "traced": [*found.components(), *sorted(found.others - set(found.components()))],
        "tree": tree(found.start) if found.start else [],
    }


def broken_hops(jaeger_url: str, api: ApiServer, silent: Sequence[str]) -> list[str]:
    """What ``ktrace verify`` would say of the first node; empty where that cannot be found out."""
    try:
        nodes = [node["metadata"]["name"] for node in api.get("/api/v1/nodes")["items"]]
        with Jaeger(jaeger_url) as jaeger:
            pipeline = pipelines.of_nodes(jaeger, nodes)
            if not isinstance(pipeline, StackPipeline) or not nodes:
                return []
            broken = dict.fromkeys(hops.first_broken(pipeline, nodes[0], name) for name in silent)
    except (*api_server.FAILURES, CommandError, ValueError, LookupError):
        return []
    return [f"broken hop: {hop.hop}: {hop.evidence}; {hop.cure}" for hop in broken]


def main() -> int:
    request = Request(**json.load(sys.stdin))
    try:
        api = ApiServer(Path(request.kubeconfig))
        with Jaeger(request.jaegerUrl) as jaeger:
            report = probe(
                jaeger,
                api,
                image=request.image,
                seconds=request.seconds,
                wanted=Wanted(tuple(request.demanded), tuple(request.expected)),
            )
        saved = {"k3sVersion": request.k3sVersion, **report}
        write_private(Path(request.report), json.dumps(saved, indent=2))
    except FAILURES as error:
        print(f"error: {error}", file=sys.stderr)
        if isinstance(error, SilenceError):
            print(*broken_hops(request.jaegerUrl, api, error.components), sep="\n", file=sys.stderr)
        return 1
    if report["seconds"] is not None:
        outcome = f"joined trace after {report['seconds']} s, {report['traceUrl']}"
    else:
        outcome = f"sampling lets no trace be demanded; traced: {report['traced']}"
    print(f"pod {report['pod']}: {outcome}", file=sys.stderr)
    print(json.dumps({key: value for key, value in report.items() if key != "tree"}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
