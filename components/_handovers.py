"""Frees a port that one container of the stack takes over from another in the same `pulumi up`.

A stack's ports are all different, so the other container has the port from its former settings,
and this up replaces it too: when depends on the order in which the engine reaches them.
"""

from __future__ import annotations

from collections.abc import Collection

import pulumi

from runtime_observability.host import docker, runner


def free(ports: Collection[int], name: str, owner: str) -> pulumi.ResourceHook:
    """Before container ``name`` is created: stops what else of ``owner`` holds one of ``ports``.

    It is not removed: the provider's delete does that, later in the same up.
    A cluster's nodes are never stopped: ``Plan`` puts them in order.
    """

    def hook(_: pulumi.ResourceHookArgs) -> None:
        for found in docker.containers():
            if found.owner == owner and found.name != name and not found.is_node:
                for port in sorted(found.host_ports() & set(ports)):
                    pulumi.log.info(f"stopped {found.name}: {name} takes its port {port}")
                    runner.run(["docker", "stop", "--time", "5", found.id])

    return pulumi.ResourceHook(f"free-ports-of-{name}", hook)
