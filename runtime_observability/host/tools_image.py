"""The image of the container without which k3d starts no node.

It runs only while k3d starts something, so a prune (`docker system prune -a`) removes its image
while the cluster stands. k3d then pulls it without the logins of the docker command, and when the
nodes that are to restart have been ended.
"""

from __future__ import annotations

import re

from runtime_observability.host import docker, k3d, runner
from runtime_observability.host.progress import log

_PULL_SECONDS = 600
_OWN = "ghcr.io/k3d-io/k3d-tools"
"""k3d's own, with its version as the tag (k3d v5.9.0 pkg/types/images.go)."""


class NoToolsError(k3d.CurableError):
    """k3d's image cannot be had: nothing is known to be wrong with a cluster."""


def provide(image: str) -> None:
    """Pulls ``image`` where Docker does not have it; empty: the one that k3d uses by itself.

    Raises NoToolsError where it cannot be had.
    """
    image = image or _of_k3d()
    if not image or docker.has_image(image):
        return
    log(f"pulling {image}")
    try:
        environment = runner.surroundings_of_a_pull()
        pull = ["docker", "pull", image]
        runner.run(pull, timeout=_PULL_SECONDS, environment=environment).checked()
    except runner.CommandError as error:
        raise NoToolsError(
            f"k3d starts no node without its image {image}, which is not in Docker and cannot be "
            f"pulled: {error}\nno node was ended for it: `docker pull` or `docker load` that "
            "image, or name another in k3dToolsImage, then run `pulumi up` again"
        ) from None


def _of_k3d() -> str:
    """Empty where k3d is no release: which one that takes is not known."""
    version = k3d.version()
    return f"{_OWN}:{version}" if re.fullmatch(r"[\d.]+", version) else ""
