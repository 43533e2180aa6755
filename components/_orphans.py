"""Removes containers and networks that a killed run made and that are not in Pulumi's state.

A before_create hook runs where the engine's state has no such resource, or when it has deleted the
one that is replaced. So an object of the same name that carries the stack's owner label is an
orphan, and it blocks that name.
"""

from __future__ import annotations

from collections.abc import Callable

import pulumi

from runtime_observability.host import docker, runner
from runtime_observability.host.docker import ClusterNodes, Owned


def _before_create(
    name: str, owner: str, listed: Callable[[], list[Owned]], remove: Callable[[str], object]
) -> pulumi.ResourceHook:
    """A hook that removes, by its id, every orphan among ``listed``."""

    def hook(arguments: pulumi.ResourceHookArgs) -> None:
        for found in listed():
            if (found.name, found.owner) == (name, owner):
                remove(found.id)
                pulumi.log.warn(f"removed {name}, which an interrupted run left behind")

    return pulumi.ResourceHook(f"remove-orphaned-{name}", hook)


def no_container(name: str, owner: str) -> pulumi.ResourceHook:
    """Before a container is created: removes the one of its name that a killed run left."""

    def remove(container: str) -> None:
        runner.run(["docker", "rm", "--force", "--volumes", container]).checked()

    return _before_create(name, owner, docker.containers, remove)


def no_network(name: str, owner: str, cluster: str) -> pulumi.ResourceHook:
    """Before a network is created: removes the one of its name that a killed run left.

    A run that was killed there made no ``cluster`` yet. So if there is one on the network, Pulumi
    has lost its state: the hook raises CommandError and removes nothing.
    """

    def remove(network: str) -> None:
        if cluster and ClusterNodes.of(docker.containers(), cluster, owner).owned:
            raise runner.CommandError(
                f"cluster {cluster} of this stack is there with its workloads, but Pulumi's state "
                "does not have the network that it is on: the state was lost or is an older one. "
                "Nothing was removed. Give Pulumi its state back (`pulumi stack import --file "
                "BACKUP`), or give the cluster up: `k3d cluster delete "
                f"{cluster}`, then `pulumi up`"
            )
        values = {"OWNER": owner, "NETWORK": name}
        runner.run_script("detach_network.sh", values).checked()
        runner.run(["docker", "network", "rm", network]).checked()

    return _before_create(name, owner, docker.networks, remove)
