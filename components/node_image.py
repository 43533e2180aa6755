"""NodeImage: the image of the nodes, pulled or built before anything of the old cluster goes."""

from __future__ import annotations

import json
from dataclasses import asdict

import pulumi
import pulumi_docker as docker

from runtime_observability.core.args import NodeImageArgs

from . import _commands, _pulls


class NodeImage(pulumi.ComponentResource):
    """Pulls or builds the image where it is missing; it stays, as other stacks use it too.

    It comes before the nodes' files and the cluster's guard: while it cannot be pulled or built,
    the old cluster stays as it is.
    """

    def __init__(
        self, name: str, args: NodeImageArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("runtime-observability:index:NodeImage", name, None, opts)
        own = pulumi.ResourceOptions(parent=self)
        if args.upstream:
            _commands.python(
                f"{name}-build",
                "runtime_observability.host.build_node_image",
                stdin=json.dumps(asdict(args.upstream)),
                environment=_commands.generation_variable(args.generation),
                opts=own,
            )
        else:
            docker.RemoteImage(
                f"{name}-image",
                name=args.image,
                keep_locally=True,
                opts=pulumi.ResourceOptions.merge(
                    own, pulumi.ResourceOptions(hooks=_pulls.before(f"{name}-image", args.image))
                ),
            )
        self.register_outputs({"image": args.image})
