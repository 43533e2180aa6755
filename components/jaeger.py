"""Jaeger: the traces' store, page and query API, in memory."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

from components import documents, naming
from components.backend import Backend, BackendArgs
from components.naming import Names

_CONFIG = "/etc/jaeger/config.yaml"


@dataclass(frozen=True)
class JaegerArgs:
    names: Names
    network: pulumi.Input[str]
    image: str
    ui_port: int
    max_traces: int
    memory_mib: int
    limits_swap: bool


class Jaeger(Backend):
    """Jaeger v2 with a ring of ``max_traces``; on 127.0.0.1 alone, as it has no login."""

    url: str

    def __init__(
        self, name: str, args: JaegerArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        self.url = f"http://127.0.0.1:{args.ui_port}"
        super().__init__(
            "Jaeger",
            name,
            BackendArgs(
                container_name=args.names.jaeger,
                image=args.image,
                alias=naming.JAEGER_ALIAS,
                network=args.network,
                labels=args.names.labels,
                command=["--config", _CONFIG],
                config_file=_CONFIG,
                config=documents.jaeger(args.max_traces),
                ports={args.ui_port: 16686},
                memory_mib=args.memory_mib,
                limits_swap=args.limits_swap,
                environment=[f"GOMEMLIMIT={args.memory_mib * 4 // 5}MiB"],
                ready_url=f"{self.url}/api/services",
            ),
            opts,
        )
