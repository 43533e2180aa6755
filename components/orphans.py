"""Containers and networks that a killed run made and Pulumi's state never learned of.

The engine calls a before_create hook only where its state holds no such resource. So an object of
the same name that carries the stack's owner label is an orphan, and its name is in the way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pulumi

from components import docker, runner
from components.docker import Owned


def remove(listed: Sequence[Owned], name: str, owner: str, argv: Sequence[str]) -> list[str]:
    """Removes with ``argv`` those of ``listed`` that have ``name`` and ``owner``; returns ids."""
    orphans = [each.id for each in listed if (each.name, each.owner) == (name, owner)]
    for orphan in orphans:
        runner.run([*argv, orphan]).checked()
    return orphans


def _binding(name: str, act: Callable[[], list[str]]) -> pulumi.ResourceHookBinding:
    def hook(arguments: pulumi.ResourceHookArgs) -> None:
        if act():
            pulumi.log.warn(f"{name} of an earlier run that was killed is removed")

    return pulumi.ResourceHookBinding(
        before_create=[pulumi.ResourceHook(f"remove-orphaned-{name}", hook)]
    )


def no_container(name: str, owner: str) -> pulumi.ResourceHookBinding:
    """Before a container is created: the one of its name that a killed run left goes."""
    argv = ["docker", "rm", "--force", "--volumes"]
    return _binding(name, lambda: remove(docker.containers(), name, owner, argv))


def no_network(name: str, owner: str) -> pulumi.ResourceHookBinding:
    """Before a network is created: the one of its name that a killed run left goes."""
    argv = ["docker", "network", "rm"]
    return _binding(name, lambda: remove(docker.networks(), name, owner, argv))
