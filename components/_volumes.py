"""The Docker volume in which a container of the stack keeps what outlives it."""

from __future__ import annotations

import pulumi
from pulumi_command import local

from runtime_observability.core.args import VolumeArgs
from runtime_observability.host import volume as of_docker

from . import _commands


def guard(name: str, volume: VolumeArgs, parent: pulumi.Resource) -> local.Command:
    """Its delete removes the volume: the container depends on it, so that goes first."""
    return _commands.guard(
        f"{name}-volume",
        ["remove_volume.sh"],
        {
            "VOLUME": volume.name,
            "OWNER": volume.owner,
            "KEEP": "true" if volume.keep else "",
        },
        opts=pulumi.ResourceOptions(parent=parent),
    )


def make(name: str, volume: VolumeArgs, image: str) -> pulumi.ResourceHook:
    """Before container ``name`` is created: makes the volume, or finds that of an earlier one.

    Docker itself would make one that belongs to root.
    """

    def hook(_: pulumi.ResourceHookArgs) -> None:
        if of_docker.ensure(volume, image):
            pulumi.log.info(f"{name} keeps on using volume {volume.name} and what is in it")

    return pulumi.ResourceHook(f"make-volume-{volume.name}", hook)
