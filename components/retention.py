"""Retention: deletes the stack's old indices in the search engine in which Jaeger keeps traces."""

from __future__ import annotations

from dataclasses import replace

import pulumi

from runtime_observability.core.args import RetentionArgs
from runtime_observability.host import runner

from ._backend import Backend
from .jaeger import Jaeger
from .network import StackNetwork

_SCRIPT = "/keep_retention.sh"


class Retention(Backend):
    """curl in a shell, as neither Jaeger nor a search engine by itself deletes daily indices."""

    def __init__(
        self,
        name: str,
        args: RetentionArgs,
        *,
        network: StackNetwork,
        jaeger: Jaeger,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """It goes before ``jaeger`` and the guard there, which may delete all indices."""
        uploads = {**args.container.uploads, _SCRIPT: runner.script("keep_retention.sh")}
        container = replace(args.container, uploads=uploads, command=(_SCRIPT,))
        super().__init__("Retention", name, container, network, opts, after=[jaeger])
