"""Removes containers and networks that a killed run made and that are not in Pulumi's state.

The engine calls a before_create hook only where its state has no such resource. So an object of the
same name that carries the stack's owner label is an orphan, and it blocks that name.
"""

from __future__ import annotations

from collections.abc import Callable

import pulumi

from runtime_observability.host import docker, runner
from runtime_observability.host.docker import Owned


def _before_create(
    name: str, owner: str, listed: Callable[[], list[Owned]], remove: Callable[[str], object]
) -> pulumi.ResourceHookBinding:
    """A hook that removes, by its id, every orphan among ``listed``."""

    def hook(arguments: pulumi.ResourceHookArgs) -> None:
        for found in listed():
            if (found.name, found.owner) == (name, owner):
                remove(found.id)
                pulumi.log.warn(f"removed {name}, which an interrupted run left behind")

    return pulumi.ResourceHookBinding(
        before_create=[pulumi.ResourceHook(f"remove-orphaned-{name}", hook)]
    )


def no_container(name: str, owner: str) -> pulumi.ResourceHookBinding:
    """Before a container is created: removes the one of its name that a killed run left."""

    def remove(container: str) -> None:
        runner.run(["docker", "rm", "--force", "--volumes", container]).checked()

    return _before_create(name, owner, docker.containers, remove)


def no_network(name: str, owner: str) -> pulumi.ResourceHookBinding:
    """Before a network is created: removes the one of its name that a killed run left."""

    def remove(network: str) -> None:
        values = {"OWNER": owner, "NETWORK": name}
        runner.run_script("detach_network.sh", values).checked()
        runner.run(["docker", "network", "rm", network]).checked()

    return _before_create(name, owner, docker.networks, remove)
