"""Pulls images with the docker command, which uses the logins of `docker login`.

Pulumi's provider uses only its own registryAuth. For an image that is there it asks no registry
(seen with docker 5.2.0), so nothing is pulled twice.
"""

from __future__ import annotations

import os

import pulumi

from runtime_observability.host import docker, runner

_SECONDS = 900


def before(name: str, image: str) -> pulumi.ResourceHookBinding:
    """A hook that pulls ``image`` where it is missing, before RemoteImage ``name`` is created."""

    def hook(_: pulumi.ResourceHookArgs) -> None:
        if docker.has_image(image):
            return
        environment = {**os.environ, **runner.variables}  # the user's DOCKER_DEFAULT_PLATFORM, too
        pulled = runner.run(["docker", "pull", image], timeout=_SECONDS, environment=environment)
        if pulled.code:
            reason = (pulled.stderr.strip() or "docker says nothing").splitlines()[-1]
            raise RuntimeError(f"{image} cannot be pulled: {reason}")

    return pulumi.ResourceHookBinding(before_create=[pulumi.ResourceHook(f"pull-{name}", hook)])
