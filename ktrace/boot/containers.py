"""What Docker knows of a stack's containers, and the nodes' logs. Read-only."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

from ktrace.clock import time
from ktrace.text import clean
from runtime_observability.host import docker, runner
from runtime_observability.host.lives import Life

_LOG_SECONDS = 30
LONGEST = timedelta(minutes=10)
"""For how long after a node's start its log is read: it may have hundreds of megabytes later."""


def nodes_of(cluster: str) -> list[str]:
    """Names of the node containers of a k3d cluster, servers first. Raises CommandError."""
    found = [node for node in docker.containers() if node.is_node and node.cluster == cluster]
    return [node.name for node in sorted(found, key=lambda n: (n.role != "server", n.name))]


def clock_ahead() -> timedelta:
    """By how much the clock of Docker's machine, and so of the nodes, is ahead of this one's; 0
    where it does not tell."""
    return docker.now() - datetime.fromtimestamp(time.time(), tz=UTC)


def network_created(network: str) -> datetime | None:
    shown = runner.run(["docker", "network", "inspect", "--format", "{{json .Created}}", network])
    try:
        return datetime.fromisoformat(json.loads(shown.stdout))
    except (ValueError, TypeError):
        return None


def log_of(life: Life) -> str:
    """The log of a node's first minutes after its last start; raises CommandError."""
    if not life.runs:
        return ""
    since, until = life.started.isoformat(), (life.started + LONGEST).isoformat()
    limits = ["--timestamps", "--since", since, "--until", until]
    read = runner.run(["docker", "logs", *limits, life.name], timeout=_LOG_SECONDS)
    read.checked()
    return "\n".join(map(clean, (read.stdout + read.stderr).splitlines()))
