"""OpenSearch: the node in which Jaeger keeps traces, where the stack has one of its own."""

from __future__ import annotations

import pulumi

from runtime_observability.core.args import OpenSearchArgs

from ._backend import Backend
from .network import StackNetwork


class OpenSearch(Backend):
    """One node without a login: it publishes no port, and only the stack's network reaches it."""

    def __init__(
        self,
        name: str,
        args: OpenSearchArgs,
        *,
        network: StackNetwork,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("OpenSearch", name, args.container, network, opts)
