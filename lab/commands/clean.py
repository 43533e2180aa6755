"""`make clean`: remove everything that the lab has made.

It works on the system's Python, without .venv and on a full disk.
"""

from __future__ import annotations

import shutil
import subprocess

from lab.errors import LabError
from lab.machine.docker import daemon
from lab.machine.docker.files import Daemon
from lab.machine.venv import MADE_BY_LAB, VENV
from lab.paths import Cache
from runtime_observability.core.naming import NODE_IMAGE, STACK_LABEL
from runtime_observability.host import runner


def run(cache: Cache) -> int:
    """Remove the node images, the cache and the lab's .venv; return 0.

    Raises LabError while the private daemon holds a stack; then nothing is removed.
    """
    private = Daemon(cache.docker)
    if stacks := daemon.labels(private, STACK_LABEL):
        raise LabError(
            f"the private Docker daemon still holds stacks ({', '.join(stacks)}): run `make down "
            "STACK=NAME` for every one of them, then `make clean` again"
        )
    _remove_node_images()
    daemon.stop(private)
    folders = [cache.root, *([VENV] if MADE_BY_LAB.exists() else [])]
    for folder in folders:
        if not folder.exists():
            print(f"{folder} does not exist: there is nothing to remove")
            continue
        print(f"removing {folder}", flush=True)
        shutil.rmtree(folder)
    return 0


def _remove_node_images() -> None:
    """Remove the node images that `containerdTracing: upstream` has built in the user's daemon."""
    if shutil.which("docker") is None:
        return
    listing = ["docker", "images", "--quiet", "--filter", f"reference={NODE_IMAGE}"]
    if listed := runner.run(listing).stdout.split():
        subprocess.run(["docker", "image", "rm", *set(listed)], check=False)
