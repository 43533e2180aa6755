"""What Docker knows of a stack's containers, and the nodes' logs. Read-only."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta

from ktrace.text import clean
from runtime_observability.host import docker, runner

_FORMAT = (
    '{"created":{{json .Created}},"started":{{json .State.StartedAt}},'
    '"ended":{{json .State.FinishedAt}},"running":{{json .State.Running}}}'
)
_LOG_SECONDS = 30
_NEVER = "0001-01-01"
"""How the time begins at which a container ended that has run without an end: Go's zero time."""
LONGEST = timedelta(minutes=10)
"""For how long after a node's start its log is read: it may have hundreds of megabytes later."""


@dataclass(frozen=True)
class Life:
    """When a container was made and started."""

    name: str
    created: datetime
    started: datetime | None
    """Its last start; None if it never was, or is not running."""
    again: bool
    """Whether it has ended before."""


def life_of(container: str) -> Life | None:
    """None where Docker has none of that name. Raises CommandError if there is no Docker."""
    shown = runner.run(["docker", "inspect", "--format", _FORMAT, container])
    try:
        found = json.loads(shown.stdout)
        created = datetime.fromisoformat(found["created"])
        started = datetime.fromisoformat(found["started"]) if found["running"] else None
        return Life(container, created, started, not str(found["ended"]).startswith(_NEVER))
    except (ValueError, LookupError, TypeError):
        return None


def nodes_of(cluster: str) -> list[str]:
    """Names of the node containers of a k3d cluster, servers first. Raises CommandError."""
    found = [node for node in docker.containers() if node.is_node and node.cluster == cluster]
    return [node.name for node in sorted(found, key=lambda n: (n.role != "server", n.name))]


def network_created(network: str) -> datetime | None:
    shown = runner.run(["docker", "network", "inspect", "--format", "{{json .Created}}", network])
    try:
        return datetime.fromisoformat(json.loads(shown.stdout))
    except (ValueError, TypeError):
        return None


def log_of(life: Life) -> str:
    """The log of a node's first minutes after its last start; raises CommandError."""
    if life.started is None:
        return ""
    since, until = life.started.isoformat(), (life.started + LONGEST).isoformat()
    limits = ["--timestamps", "--since", since, "--until", until]
    read = runner.run(["docker", "logs", *limits, life.name], timeout=_LOG_SECONDS)
    read.checked()
    return "\n".join(map(clean, (read.stdout + read.stderr).splitlines()))
