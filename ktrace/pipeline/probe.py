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

Where no Jaeger can be asked, ``traced`` are the components of which spans arrived in the collector,
and ``sentTo`` is a list of the destinations that took spans (``counted_probe``).

The file holds two more keys, to compare releases by::

    {"k3sVersion": "v1.34.4-k3s1",
     "tree": [{"component": "kubelet", "operation": "syncPod",
               "startMs": 0.0, "durationMs": 1090.4,     startMs since the trace's first span
               "children": […]}]}                         of the same shape, ordered by start
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ktrace.jaeger import Jaeger, JaegerError, origin
from ktrace.pipeline import counted_probe, hops, pipelines
from ktrace.pipeline.pipelines import StackPipeline
from ktrace.pipeline.pod_watch import StartWatch, never_ran, wait_until_started
from ktrace.pipeline.probe_pod import ProbeError, SilenceError, probe_pod
from ktrace.pipeline.probe_trace import Demand, services_since, silence, wait_for_trace
from ktrace.pipeline.span_tree import tree
from ktrace.text import clean, cleaned
from runtime_observability.core.component import COMPONENTS
from runtime_observability.host import api_server
from runtime_observability.host.api_server import ApiServer
from runtime_observability.host.files import write_private
from runtime_observability.host.http import httpx
from runtime_observability.host.runner import CommandError

FAILURES = (
    ProbeError,
    JaegerError,
    api_server.UnusableKubeconfigError,
    *api_server.FAILURES,
    OSError,
)
"""What ends the probe with one line."""
_NO_ANSWER = "the API server, which was ready, does not answer the probe"
_AGAIN = "Run `pulumi up` again, which starts its node or tells why that ends"
_OF_ANOTHER_JAEGER = (
    "the stack has no Jaeger of its own: the probe asks the one at {}. See whether an exporter "
    "leads there, or name another with `pulumi config set queryUrl URL`; without queryUrl the "
    "collector's counters are judged"
)


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
    metricsUrl: str = ""  # noqa: N815  of the collector's counters, where the stack has no Jaeger
    destinations: list[str] = field(default_factory=list)
    stack: dict[str, str] = field(default_factory=dict)
    """The attributes of the stack's spans, where that Jaeger may have those of others too."""

    def connect(self) -> Jaeger:
        stack = origin.of_attributes(self.stack)
        return Jaeger(self.jaegerUrl, stack=stack, shared=stack is not None)


def probe(
    jaeger: Jaeger,
    api: ApiServer,
    *,
    image: str,
    seconds: float,
    wanted: Demand,
) -> dict[str, object]:
    """The report with its tree; ProbeError when a wanted component is silent.

    A pod that did not run proves nothing of the components: it is a ProbeError of its own.
    """
    with probe_pod(api, image, seconds) as pod:
        print(f"pod {pod.key} created, waiting for its trace", file=sys.stderr, flush=True)
        watch = StartWatch(api, pod)
        found, waited = wait_for_trace(jaeger, pod, wanted, seconds, watch.look)
        if waited is None:
            state = watch.state()
            if state.ran is False:
                raise never_ran(api, pod, state)
            services = services_since(jaeger, pod)
            message = silence(found, wanted, services, seconds, state.summary)
            raise SilenceError(message, wanted.missing(found), state.node)
        if not found.whole:
            wait_until_started(api, pod, seconds)
    traced = found.others.union(found.components())
    return {
        "pod": pod.key,
        "seconds": waited if wanted.demanded else None,
        "traceUrl": jaeger.link(found.start) if found.start else None,
        "requestTraceUrl": jaeger.link(found.request) if found.request else None,
        "spans": found.counts(),
        "traced": [name for name in COMPONENTS if name in traced],
        "tree": tree(found.start) if found.start else [],
    }


def broken_hops(
    request: Request, api: ApiServer, silent: Sequence[str], node: str = ""
) -> list[str]:
    """What ``ktrace verify`` would say of ``node``, or else of the first node.

    Empty where that cannot be found out. ``silent`` is empty where no destination takes spans.
    """
    try:
        listed = cleaned(api.get("/api/v1/nodes"))
        nodes = [entry["metadata"]["name"] for entry in listed["items"]]
        with request.connect() if request.jaegerUrl else nullcontext() as jaeger:
            pipeline = pipelines.of_nodes(jaeger, nodes)
            if not isinstance(pipeline, StackPipeline) or not nodes:
                return []
            place = node or nodes[0]
            found = (
                [hops.first_broken(pipeline, place, name) for name in silent]
                if silent
                else [hops.broken_on_the_way(pipeline, place)]
            )
            broken = dict.fromkeys(filter(None, found))
    except (*api_server.FAILURES, CommandError, JaegerError, ValueError, LookupError, TypeError):
        return []
    return [f"broken hop: {hop.hop}: {hop.evidence}; {hop.cure}" for hop in broken]


def outcome(report: Mapping[str, Any]) -> str:
    """What ``probe`` found, as a clause; a pod's start that is sampled may have no trace."""
    seconds, traced = report["seconds"], ", ".join(report["traced"])
    if seconds is None:
        return f"sampling lets no trace be demanded; traced: {traced or 'none seen'}"
    if report["traceUrl"]:
        return f"joined trace after {seconds} s, {report['traceUrl']}"
    seen = f"traced after {seconds} s: {traced}, {report['requestTraceUrl']}"
    return f"{seen}; its start was not demanded, because sampling can leave it without a trace"


def main() -> int:
    request = Request(**json.load(sys.stdin))
    try:
        api = ApiServer(Path(request.kubeconfig))
        wanted = Demand(tuple(request.demanded), tuple(request.expected))
        image, seconds = request.image, request.seconds
        if request.jaegerUrl:
            with request.connect() as jaeger:
                report = probe(jaeger, api, image=image, seconds=seconds, wanted=wanted)
        else:
            counted = counted_probe.Counted(request.metricsUrl, wanted, tuple(request.destinations))
            report = counted_probe.probe(counted, api, image=image, seconds=seconds)
        saved = {"k3sVersion": request.k3sVersion, **report}
        write_private(Path(request.report), json.dumps(saved, indent=2))
    except FAILURES as error:
        told = str(error) if isinstance(error, ProbeError) else clean(api_server.reason(error))
        if isinstance(error, httpx.HTTPError):
            told = f"{_NO_ANSWER}: {told}. {_AGAIN}"
        print(f"error: {told}", file=sys.stderr)
        if isinstance(error, SilenceError):
            broken = broken_hops(request, api, error.components, error.node)
            print(*broken, sep="\n", file=sys.stderr)
        if request.jaegerUrl and request.metricsUrl:
            print(_OF_ANOTHER_JAEGER.format(request.jaegerUrl), file=sys.stderr)
        return 1
    told = outcome(report) if request.jaegerUrl else counted_probe.outcome(report)
    print(f"pod {report['pod']}: {told}", file=sys.stderr)
    print(json.dumps({key: value for key, value in report.items() if key != "tree"}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
