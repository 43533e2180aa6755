"""What Jaeger, its store and the collector have in common: one hardened container that must become
ready.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import pulumi
import pulumi_docker as docker

from runtime_observability.core.args import CassandraArgs, ContainerArgs, SearchEngineArgs
from runtime_observability.core.naming import MADE_LABEL, NETWORK_LABEL, SPEC_LABEL
from runtime_observability.core.trace_store import REPLICAS_VARIABLE

from . import (
    _cassandra,
    _commands,
    _handovers,
    _labels,
    _losses,
    _orphans,
    _pulls,
    _search_engine,
    _volumes,
)
from .network import StackNetwork


class Backend(pulumi.ComponentResource):
    """RemoteImage, Container and the wait for it. Subclasses say which container that is.

    The wait is a Command that polls from the host, or in the container where that publishes no
    port: the collector's image has no shell and no client for a Docker healthcheck.
    """

    image: docker.RemoteImage
    """It is pulled while nothing runs that has spans to send."""
    container: docker.Container
    container_id: pulumi.Output[str]

    def __init__(
        self,
        kind: str,
        name: str,
        args: ContainerArgs,
        network: StackNetwork,
        opts: pulumi.ResourceOptions | None,
        *,
        after: Sequence[pulumi.Resource] = (),
        engine: SearchEngineArgs | None = None,
        cassandra: CassandraArgs | None = None,
    ) -> None:
        """``after``: what the container, but not its image, has to wait for. ``engine`` or
        ``cassandra``: where it keeps traces.
        """
        super().__init__(f"runtime-observability:index:{kind}", name, None, opts)
        labels, spec = _labels.of(args.labels), args.labels.get(SPEC_LABEL, "")
        image = docker.RemoteImage(
            f"{name}-image",
            name=args.image,
            keep_locally=True,  # other stacks use it too
            # Where the container was removed, its image may be gone too.
            pull_triggers=[labels[MADE_LABEL]] if MADE_LABEL in labels else None,
            # The old container stays while the next image cannot be pulled.
            opts=pulumi.ResourceOptions(
                parent=self, hooks=_pulls.before(f"{name}-image", args.image)
            ),
        )
        volume = args.volume
        guards = [_volumes.guard(name, volume, self)] if volume else []
        told: dict[str, pulumi.Input[str]] = {}
        if engine and not engine.is_own:
            made = labels.get(MADE_LABEL, "")
            checked = _search_engine.before(name, engine, network, self, made)
            guards.append(checked)
            if engine.replicas < 0:
                told[REPLICAS_VARIABLE] = _search_engine.replicas(checked)
        elif cassandra:
            checked = _cassandra.check(
                name, args, cassandra, network=network, image=image, parent=self
            )
            guards.append(checked)
        container = docker.Container(
            f"{name}-container",
            name=args.name,
            image=image.image_id,
            entrypoints=list(args.entrypoint) or None,
            command=list(args.command) or None,
            envs=[
                *(f"{variable}={value}" for variable, value in args.variables.items()),
                *(pulumi.Output.concat(f"{variable}=", value) for variable, value in told.items()),
            ],
            labels=[
                *(
                    docker.ContainerLabelArgs(label=label, value=value)
                    for label, value in labels.items()
                ),
                # The provider does not read its network back, and a stopped container outlives
                # the network: only another container can start on the next one of that name.
                docker.ContainerLabelArgs(label=NETWORK_LABEL, value=network.id),
            ],
            networks_advanced=[
                docker.ContainerNetworksAdvancedArgs(name=network.name, aliases=[args.alias])
            ],
            # Read back sorted by the container's port: any other order would show as a change.
            ports=[
                docker.ContainerPortArgs(internal=inside, external=outside, ip="127.0.0.1")
                for outside, inside in sorted(args.ports.items(), key=lambda port: port[1])
            ]
            or None,
            uploads=_uploads(args),
            volumes=[
                docker.ContainerVolumeArgs(volume_name=volume.name, container_path=volume.path)
            ]
            if volume
            else None,
            user=str(args.user),
            capabilities=docker.ContainerCapabilitiesArgs(drops=["ALL"]),
            security_opts=["no-new-privileges:true"],
            memory=args.memory_mib,
            # Set, because Docker's own choice is read back and would show as a change.
            memory_swap=args.memory_mib if args.limits_swap else -1,
            restart="unless-stopped",
            log_driver="json-file",
            log_opts={"max-size": "10m", "max-file": "2"},
            destroy_grace_seconds=args.stop_seconds,
            opts=pulumi.ResourceOptions(
                parent=self,
                delete_before_replace=True,
                additional_secret_outputs=["uploads"] if args.secret_uploads else None,
                # Its guard, too, which by that knows whether the whole stack goes.
                depends_on=[network, *guards, *after],
                hooks=pulumi.ResourceHookBinding(
                    before_create=[
                        _orphans.no_container(args.name, args.owner, args.note),
                        _handovers.free(args.ports, args.name, args.owner),
                        *([_volumes.make(args.name, volume, args.image)] if volume else []),
                        *([_losses.tell(args.name, args.owner, spec)] if spec else []),
                    ]
                ),
            ),
        )
        _commands.python(
            f"{name}-ready",
            "runtime_observability.host.readiness",
            stdin=json.dumps(
                {
                    "container": args.name,
                    **({"url": args.ready_url} if args.ready_url else {}),
                    **({"command": args.ready_command} if args.ready_command else {}),
                    **({"note": args.note} if args.note else {}),
                    "seconds": args.ready_seconds,
                }
            ),
            triggers=[container.id],
            opts=pulumi.ResourceOptions(parent=self, depends_on=[container]),
        )
        self.image, self.container = image, container
        self.container_id = container.id
        self.register_outputs({"containerId": self.container_id})


def _uploads(args: ContainerArgs) -> pulumi.Input[list[docker.ContainerUploadArgs]]:
    """All files of the container. One secret among them makes all secret: the provider reads them
    back as a set, in which no single one can be marked."""
    files = [
        docker.ContainerUploadArgs(file=file, content=content)
        for file, content in {**args.uploads, **args.secret_uploads}.items()
    ]
    return pulumi.Output.secret(files) if args.secret_uploads else files
