"""StackNetwork: the Docker network that a stack's containers and nodes share."""

from __future__ import annotations

import pulumi
import pulumi_docker as docker

from components import _commands, _orphans
from runtime_observability.core.naming import Names


class StackNetwork(pulumi.ComponentResource):
    """Nodes reach the collector by its alias on this network.

    That resolves from a node's first second, survives a reboot and passes no firewall, none of
    which host.k3d.internal does (k3d#1221, k3d#972).
    """

    name: pulumi.Output[str]
    id: pulumi.Output[str]

    def __init__(
        self, name: str, *, names: Names, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("runtime-observability:index:StackNetwork", name, None, opts)
        network = docker.Network(
            f"{name}-network",
            name=names.network,
            driver="bridge",
            labels=[
                docker.NetworkLabelArgs(label=label, value=value)
                for label, value in names.labels.items()
            ],
            opts=pulumi.ResourceOptions(
                parent=self,
                delete_before_replace=True,
                hooks=_orphans.no_network(names.network, names.owner),
            ),
        )
        _commands.guard(
            f"{name}-detach",
            ["detach_network.sh"],
            {"OWNER": names.owner, "NETWORK": names.network},
            triggers=[network.id],
            opts=pulumi.ResourceOptions(parent=self, depends_on=[network]),
        )
        self.name = network.name
        self.id = network.id
        self.register_outputs({"name": self.name, "id": self.id})
