"""What Jaeger and the collector have in common: one hardened container that must become ready."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_docker as docker

from components import _commands, _orphans
from components.network import StackNetwork
from runtime_observability.core.naming import NETWORK_LABEL, OWNER_LABEL

_READY_SECONDS = 60


@dataclass(frozen=True)
class BackendArgs:
    """A container of the stack, on its network; ``ports`` maps 127.0.0.1's to the container's."""

    container_name: str
    image: str
    alias: str
    network: StackNetwork
    labels: Mapping[str, str]
    command: Sequence[str]
    uploads: Mapping[str, str]
    """Contents of files in the container, by path."""
    ports: Mapping[int, int]
    memory_mib: int
    limits_swap: bool
    """Whether the daemon can limit swap (docker.Daemon)."""
    environment: Mapping[str, str]
    """Besides GOMEMLIMIT, which keeps Go's heap below the container's limit."""
    ready_url: str
    """Answers 200 on the host once the container serves."""


class Backend(pulumi.ComponentResource):
    """RemoteImage, Container and the wait for it. Subclasses say which container that is.

    The wait is a Command that polls from the host: the collector's image has no shell and no
    client for a Docker healthcheck.
    """

    container_id: pulumi.Output[str]

    def __init__(
        self, kind: str, name: str, args: BackendArgs, opts: pulumi.ResourceOptions | None
    ) -> None:
        super().__init__(f"runtime-observability:index:{kind}", name, None, opts)
        image = docker.RemoteImage(
            f"{name}-image",
            name=args.image,
            keep_locally=True,  # other stacks use it too
            # While the next image cannot be had, the container of the old one stays.
            opts=pulumi.ResourceOptions(parent=self),
        )
        container = docker.Container(
            f"{name}-container",
            name=args.container_name,
            image=image.image_id,
            command=list(args.command) or None,
            envs=[
                f"GOMEMLIMIT={args.memory_mib * 4 // 5}MiB",
                *(f"{variable}={value}" for variable, value in args.environment.items()),
            ],
            labels=[
                *(
                    docker.ContainerLabelArgs(label=label, value=value)
                    for label, value in args.labels.items()
                ),
                # Its network is not read back, and a stopped container outlives it: then only
                # another container can start, on the new one of the same name.
                docker.ContainerLabelArgs(label=NETWORK_LABEL, value=args.network.id),
            ],
            networks_advanced=[
                docker.ContainerNetworksAdvancedArgs(name=args.network.name, aliases=[args.alias])
            ],
            # Read back sorted by the container's port: any other order would show as a change.
            ports=[
                docker.ContainerPortArgs(internal=inside, external=outside, ip="127.0.0.1")
                for outside, inside in sorted(args.ports.items(), key=lambda port: port[1])
            ],
            uploads=[
                docker.ContainerUploadArgs(file=file, content=content)
                for file, content in args.uploads.items()
            ],
            user="10001",
            capabilities=docker.ContainerCapabilitiesArgs(drops=["ALL"]),
            security_opts=["no-new-privileges:true"],
            memory=args.memory_mib,
            # Said outright, since Docker's own choice is read back and would show as a change.
            memory_swap=args.memory_mib if args.limits_swap else -1,
            restart="unless-stopped",
            log_driver="json-file",
            log_opts={"max-size": "10m", "max-file": "2"},
            destroy_grace_seconds=5,
            opts=pulumi.ResourceOptions(
                parent=self,
                delete_before_replace=True,
                hooks=_orphans.no_container(args.container_name, args.labels[OWNER_LABEL]),
            ),
        )
        _commands.python(
            f"{name}-ready",
            "runtime_observability.host.readiness",
            stdin=json.dumps(
                {
                    "container": args.container_name,
                    "url": args.ready_url,
                    "seconds": _READY_SECONDS,
                }
            ),
            triggers=[container.id],
            opts=pulumi.ResourceOptions(parent=self, depends_on=[container]),
        )
        self.container_id = container.id
        self.register_outputs({"containerId": self.container_id})
