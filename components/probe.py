"""TraceProbe: starts a pod, and fails the up unless its start is one joined trace."""

from __future__ import annotations

import json
from typing import Any

import pulumi

from runtime_observability.core.args import TraceProbeArgs

from . import _commands
from .cluster import TracedCluster
from .collector import Collector
from .jaeger import Jaeger


class TraceProbe(pulumi.ComponentResource):
    """Runs a pod and finds its trace (``python -m ktrace.pipeline.probe``).

    It runs again for another Jaeger, collector, cluster or generation.
    """

    result: pulumi.Output[dict[str, Any]]

    def __init__(
        self,
        name: str,
        args: TraceProbeArgs,
        *,
        jaeger: Jaeger | None,
        collector: Collector,
        cluster: TracedCluster,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("runtime-observability:index:TraceProbe", name, None, opts)
        probe = _commands.python(
            f"{name}-run",
            "ktrace.pipeline.probe",
            stdin=json.dumps(
                {
                    "jaegerUrl": args.jaeger_url,
                    "metricsUrl": args.metrics_url,
                    "destinations": list(args.destinations),
                    "stack": dict(args.stack),
                    "kubeconfig": args.kubeconfig,
                    "image": args.image,
                    "seconds": args.seconds,
                    "demanded": list(args.demanded),
                    "expected": list(args.expected),
                    "k3sVersion": args.k3s_version,
                    "report": args.report,
                }
            ),
            environment={"CONTENT": args.content},
            triggers=[
                *([jaeger.container_id] if jaeger else []),
                collector.container_id,
                cluster.instance,
                _commands.generation(args.generation),
            ],
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.result = _commands.printed(probe)
        self.register_outputs({"result": self.result})
