"""StackGuard: the first resource of a stack and the last to go."""

from __future__ import annotations

import pulumi

from components import _commands
from runtime_observability.core.naming import Names


class StackGuard(pulumi.ComponentResource):
    """Its delete sweeps what the stack owns, known to Pulumi's state or not, and proves it gone."""

    def __init__(
        self, name: str, *, names: Names, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("runtime-observability:index:StackGuard", name, None, opts)
        _commands.guard(
            f"{name}-sweep",
            ["sweep_cluster.sh", "sweep_stack.sh"],
            {
                "OWNER": names.owner,
                "STACK": names.stack,
                "CLUSTER": names.cluster,
                "DIRECTORY": str(names.directory),
            },
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({})
