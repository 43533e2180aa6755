"""Jaeger: the traces' store, page and query API."""

from __future__ import annotations

import pulumi

from runtime_observability.core.args import JaegerArgs

from ._backend import Backend
from .network import StackNetwork


class Jaeger(Backend):
    """Jaeger with its store; only on 127.0.0.1, as it has no login."""

    def __init__(
        self,
        name: str,
        args: JaegerArgs,
        *,
        network: StackNetwork,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("Jaeger", name, args.container, network, opts, engine=args.search_engine)
