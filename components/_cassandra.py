"""The check of a Cassandra before the old Jaeger goes."""

from __future__ import annotations

import json
from dataclasses import asdict

import pulumi
import pulumi_docker as docker
from pulumi_command import local

from runtime_observability.core.args import CassandraArgs, ContainerArgs
from runtime_observability.core.naming import MADE_LABEL
from runtime_observability.host.cassandra import Trial

from . import _commands, _labels
from .network import StackNetwork


def check(
    name: str,
    container: ContainerArgs,
    args: CassandraArgs,
    *,
    network: StackNetwork,
    image: docker.RemoteImage,
    parent: pulumi.Resource,
) -> local.Command:
    """Precedes every Jaeger: where another of ``container`` does not start, the old one stays."""

    def request(found: list[str]) -> str:
        network_name, image_id = found
        (port,) = container.ports.values()
        trial = Trial(
            name=f"{container.name}-check",
            owner=container.owner,
            image=image_id,
            network=network_name,
            user=container.user,
            memory_mib=container.memory_mib,
            variables=container.variables,
            command=container.command,
            files={**container.uploads, **container.secret_uploads},
            port=port,
        )
        return json.dumps({"trial": asdict(trial), "cassandra": asdict(args)})

    requested: pulumi.Output[str] = pulumi.Output.all(network.name, image.image_id).apply(request)
    return _commands.python(
        f"{name}-cassandra-check",
        "runtime_observability.host.cassandra",
        stdin=pulumi.Output.secret(requested),
        environment={
            "NETWORK": network.id,
            "MADE": _labels.of(container.labels).get(MADE_LABEL, ""),
        },
        opts=pulumi.ResourceOptions(parent=parent, depends_on=[network]),
    )
