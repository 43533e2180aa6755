"""Collector: takes the spans of nodes, pods and host, samples them and passes them to Jaeger."""

from __future__ import annotations

import pulumi

from runtime_observability.core.args import CollectorArgs

from ._backend import Backend
from .network import StackNetwork


class Collector(Backend):
    """The OpenTelemetry Collector under its alias on the stack's network."""

    def __init__(
        self,
        name: str,
        args: CollectorArgs,
        *,
        network: StackNetwork,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("Collector", name, args.container, network, opts)
