"""Collector: takes the spans of nodes, pods and host, samples them and passes them to Jaeger."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

from components._backend import Backend, BackendArgs
from components.network import StackNetwork
from runtime_observability.core import documents, naming
from runtime_observability.core.naming import Names
from runtime_observability.core.versions import Version

_CONFIG = "/etc/otelcol/config.yaml"


@dataclass(frozen=True)
class CollectorArgs:
    """``sampling_per_million``: traces passed on to Jaeger, of a million."""

    names: Names
    network: StackNetwork
    image: str
    version: Version
    sampling_per_million: int
    memory_mib: int
    limits_swap: bool
    grpc_port: int
    http_port: int
    health_port: int
    metrics_port: int


class Collector(Backend):
    """The OpenTelemetry Collector under its alias on the stack's network."""

    grpc_endpoint: str
    http_endpoint: str
    in_cluster_endpoint: str
    """For a pod's own spans: pods resolve the alias through their node."""

    def __init__(
        self, name: str, args: CollectorArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        self.grpc_endpoint = f"http://127.0.0.1:{args.grpc_port}"
        self.http_endpoint = f"http://127.0.0.1:{args.http_port}"
        self.in_cluster_endpoint = f"http://{naming.COLLECTOR_ALIAS}:4317"
        super().__init__(
            "Collector",
            name,
            BackendArgs(
                container_name=args.names.collector,
                image=args.image,
                alias=naming.COLLECTOR_ALIAS,
                network=args.network,
                labels=args.names.labels,
                command=["--config", _CONFIG],
                uploads={
                    _CONFIG: documents.collector(
                        args.version, args.sampling_per_million, args.memory_mib
                    )
                },
                ports={
                    args.grpc_port: 4317,
                    args.http_port: 4318,
                    args.health_port: 13133,
                    args.metrics_port: 8888,
                },
                memory_mib=args.memory_mib,
                limits_swap=args.limits_swap,
                environment={},
                ready_url=f"http://127.0.0.1:{args.health_port}/",
            ),
            opts,
        )
