"""`make lab-stop`: stop the private Docker daemon with everything that runs in it."""

from __future__ import annotations

from lab.machine.docker import daemon
from lab.machine.docker.files import Daemon
from lab.paths import Cache


def run(cache: Cache) -> int:
    """Stop the daemon if it runs; return 0."""
    stopped = daemon.stop(Daemon(cache.docker))
    print("stopped" if stopped else "the private Docker daemon is not running")
    return 0
