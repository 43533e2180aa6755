"""Jaeger: the traces' store, page and query API."""

from __future__ import annotations

import pulumi

from runtime_observability.core.args import JaegerArgs

from ._backend import Backend
from .network import StackNetwork
from .open_search import OpenSearch


class Jaeger(Backend):
    """Jaeger with its store; only on 127.0.0.1, as it has no login."""

    def __init__(
        self,
        name: str,
        args: JaegerArgs,
        *,
        network: StackNetwork,
        store: OpenSearch | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Jaeger ends where its ``store`` does not answer when it starts."""
        super().__init__(
            "Jaeger",
            name,
            args.container,
            network,
            opts,
            after=[store] if store else [],
            engine=args.search_engine,
            cassandra=args.cassandra,
        )
