"""Whether Docker starts a stack's containers when it starts itself, as with the machine."""

from __future__ import annotations

from collections.abc import Iterable

from runtime_observability.core.naming import Names
from runtime_observability.host import docker, lives, runner
from runtime_observability.host.lives import Life
from runtime_observability.host.progress import log

_WANTED = "unless-stopped"
_LEFT_DOWN = ("no", "on-failure")


def drift(known: Iterable[Life]) -> list[str]:
    """Which containers it would leave down. They were made with another policy."""
    return [
        f"container {life.name} does not start with Docker, as after `docker update --restart=no`"
        for life in known
        if life.restart_policy in _LEFT_DOWN
    ]


def mend(names: Names) -> None:
    """Gives those of the stack the policy that they were made with, which restarts none."""
    own = [found for found in docker.containers() if found.owner == names.owner and _lasts(found)]
    known = lives.read(*(found.name for found in own)) if own else {}
    down = [name for name, life in known.items() if life.restart_policy in _LEFT_DOWN]
    if down:
        log(f"{', '.join(down)}: started by Docker again when it starts")
        # One that Pulumi replaces meanwhile is made with it.
        runner.run(["docker", "update", f"--restart={_WANTED}", *down])


def _lasts(container: docker.Owned) -> bool:
    return container.is_node or not container.cluster
