"""Jaeger: the traces' store, page and query API, in memory."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

from components._backend import Backend, BackendArgs
from components.network import StackNetwork
from runtime_observability.core import documents, naming
from runtime_observability.core.compatibility import JAEGER_GENERATION
from runtime_observability.core.naming import Names
from runtime_observability.core.versions import Version

_CONFIG = "/etc/jaeger/config.yaml"


@dataclass(frozen=True)
class JaegerArgs:
    names: Names
    network: StackNetwork
    image: str
    version: Version
    ui_port: int
    max_traces: int
    memory_mib: int
    limits_swap: bool


class Jaeger(Backend):
    """Jaeger with a ring of ``max_traces``; on 127.0.0.1 alone, as it has no login.

    v2 is configured by a file, v1 by its environment.
    """

    url: str

    def __init__(
        self, name: str, args: JaegerArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        self.url = f"http://127.0.0.1:{args.ui_port}"
        by_file = JAEGER_GENERATION.at(args.version) == "v2"
        super().__init__(
            "Jaeger",
            name,
            BackendArgs(
                container_name=args.names.jaeger,
                image=args.image,
                alias=naming.JAEGER_ALIAS,
                network=args.network,
                labels=args.names.labels,
                command=["--config", _CONFIG] if by_file else [],
                uploads={_CONFIG: documents.jaeger(args.max_traces)} if by_file else {},
                ports={args.ui_port: 16686},
                memory_mib=args.memory_mib,
                limits_swap=args.limits_swap,
                environment={} if by_file else documents.jaeger_v1_environment(args.max_traces),
                ready_url=f"{self.url}/api/services",
            ),
            opts,
        )
