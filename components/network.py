"""StackNetwork: the Docker network that a stack's containers and nodes share."""

from __future__ import annotations

import pulumi
import pulumi_docker as docker

from runtime_observability.core.args import StackNetworkArgs

from . import _commands, _labels, _orphans


class StackNetwork(pulumi.ComponentResource):
    """Nodes reach the collector by its alias on this network.

    The alias resolves from a node's first second, survives a reboot and passes no firewall.
    host.k3d.internal does none of that (k3d#1221, k3d#972).
    """

    name: pulumi.Output[str]
    id: pulumi.Output[str]

    def __init__(
        self, name: str, args: StackNetworkArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("runtime-observability:index:StackNetwork", name, None, opts)
        network = docker.Network(
            f"{name}-network",
            name=args.name,
            driver="bridge",
            labels=[
                docker.NetworkLabelArgs(label=label, value=value)
                for label, value in _labels.of(args.labels).items()
            ],
            opts=pulumi.ResourceOptions(
                parent=self,
                delete_before_replace=True,
                hooks=pulumi.ResourceHookBinding(
                    before_create=[_orphans.no_network(args.name, args.owner, args.cluster)]
                ),
            ),
        )
        _commands.guard(
            f"{name}-detach",
            ["refuse_alone.sh", "detach_network.sh"],
            {"OWNER": args.owner, "NETWORK": args.name},
            triggers=[network.id],
            opts=pulumi.ResourceOptions(parent=self, depends_on=[network]),
        )
        self.name = network.name
        self.id = network.id
        self.register_outputs({"name": self.name, "id": self.id})
