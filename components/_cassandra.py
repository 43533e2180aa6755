"""The check of a Cassandra before the old Jaeger goes."""

from __future__ import annotations

import json

import pulumi
import pulumi_docker as docker
from pulumi_command import local

from runtime_observability.core.args import CassandraArgs, ContainerArgs
from runtime_observability.core.naming import MADE_LABEL

from . import _commands
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
        return json.dumps(
            {
                "container": {
                    "name": container.name,
                    "owner": container.owner,
                    "image": image_id,
                    "network": network_name,
                    "user": container.user,
                    "memoryMiB": container.memory_mib,
                    "variables": container.variables,
                    "command": container.command,
                    "files": {**container.uploads, **container.secret_uploads},
                    "port": port,
                },
                "cassandra": {
                    "servers": args.servers,
                    "user": args.user,
                    "password": args.password,
                    "keyspace": args.keyspace,
                },
            }
        )

    requested: pulumi.Output[str] = pulumi.Output.all(network.name, image.image_id).apply(request)
    return _commands.python(
        f"{name}-cassandra-check",
        "runtime_observability.host.cassandra",
        stdin=pulumi.Output.secret(requested),
        environment={"NETWORK": network.id, "MADE": container.labels.get(MADE_LABEL, "")},
        opts=pulumi.ResourceOptions(parent=parent, depends_on=[network]),
    )
