"""`make clean`: remove everything that the lab has made."""

from __future__ import annotations

import shutil
import subprocess

from lab.errors import LabError
from lab.machine.docker import daemon
from lab.machine.docker.files import Daemon
from lab.paths import Cache
from lab.progress import progress
from runtime_observability.core.naming import NODE_IMAGE, OWNER_LABEL
from runtime_observability.host import runner


def run(cache: Cache) -> int:
    """Remove the node images and the cache; return 0.

    Raises LabError while the private daemon holds a stack.
    """
    private = Daemon(cache.docker)
    if daemon.answers(private):
        command = ["docker", "--host", private.host, "ps", "--all", "--quiet"]
        if runner.run([*command, "--filter", f"label={OWNER_LABEL}"]).checked():
            raise LabError(
                "the private Docker daemon still holds stacks: run `make down STACK=NAME` for "
                "every one of them, then `make clean` again"
            )
    _remove_node_images()
    if not cache.root.exists():
        print(f"{cache.root} does not exist: there is nothing to remove")
        return 0
    daemon.stop(private)
    with progress(f"removing {cache.root}"):
        shutil.rmtree(cache.root)
    print(f"removed {cache.root}")
    return 0


def _remove_node_images() -> None:
    """Remove the node images that `containerdTracing: upstream` has built in the user's daemon."""
    if shutil.which("docker") is None:
        return
    listing = ["docker", "images", "--quiet", "--filter", f"reference={NODE_IMAGE}"]
    if listed := runner.run(listing).stdout.split():
        subprocess.run(["docker", "image", "rm", *set(listed)], check=False)
