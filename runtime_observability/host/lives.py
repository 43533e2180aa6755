"""When Docker made, started and ended containers, and how each is on its networks: asked for in one
call. Read-only."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from runtime_observability.core import naming
from runtime_observability.host import runner

Endpoints = dict[str, dict[str, Any]]
"""How a container is on each of its networks, by their names."""
_FORMAT = (
    '{"name":{{json .Name}},"host":{{json .Config.Hostname}},'
    '"created":{{json .Created}},"restarts":{{.RestartCount}},'
    '"state":{{json .State.Status}},"code":{{.State.ExitCode}},"oom":{{.State.OOMKilled}},'
    '"started":{{json .State.StartedAt}},"ended":{{json .State.FinishedAt}},'
    '"networks":{{json .NetworkSettings.Networks}},'
    '"restart":{{json .HostConfig.RestartPolicy.Name}},'
    f'"made":{{{{json (index .Config.Labels "{naming.MADE_LABEL}")}}}},'
    f'"store":{{{{json (index .Config.Labels "{naming.STORE_LABEL}")}}}}}}'
)
_NEVER = datetime.min.replace(tzinfo=UTC)
"""When one ended that has run without an end since it was created: Go's zero time."""


@dataclass(frozen=True)
class Life:
    """A container's, up to now."""

    name: str
    host_name: str
    """Its first name, of a node: `docker rename` leaves it."""
    created: datetime
    started: datetime
    """For the last time."""
    ended: datetime | None
    """For the last time; None if it has never ended."""
    state: str
    """As Docker calls it, such as running."""
    restarts: int
    """How often Docker has started it again since somebody did."""
    exit_code: int
    """Of its last end; 0 while it runs."""
    out_of_memory: bool
    """Whether its memory limit has ended it, of one that is down."""
    restart_policy: str
    """When Docker starts it by itself, such as unless-stopped."""
    made: str
    """What MADE_LABEL says; empty for one without it."""
    store: str
    """Where its Jaeger keeps traces; empty for its memory."""
    networks: Endpoints

    @property
    def again(self) -> bool:
        """Whether it has ended before."""
        return self.ended is not None

    @property
    def runs(self) -> bool:
        return self.state in ("running", "paused")


def read(*containers: str) -> dict[str, Life]:
    """The lives of those of ``containers`` that exist, by name; none if Docker does not answer.

    Raises CommandError where docker cannot be run.
    """
    shown = runner.run(["docker", "inspect", "--format", _FORMAT, *containers])
    lives = [_life(json.loads(line)) for line in shown.stdout.splitlines() if line.startswith("{")]
    return {life.name: life for life in lives if life.name in containers}


def _life(shown: dict[str, Any]) -> Life:
    ended = datetime.fromisoformat(shown["ended"])
    return Life(
        name=shown["name"].lstrip("/"),
        host_name=shown["host"],
        created=datetime.fromisoformat(shown["created"]),
        started=datetime.fromisoformat(shown["started"]),
        ended=None if ended == _NEVER else ended,
        state=shown["state"],
        restarts=shown["restarts"],
        exit_code=shown["code"],
        out_of_memory=shown["oom"],
        restart_policy=shown["restart"],
        made=shown["made"],
        store=shown["store"],
        networks=shown["networks"],
    )


def reached_as(networks: Endpoints) -> frozenset[str]:
    """A container's names and addresses on ``networks``."""
    return frozenset(
        name
        for network in networks.values()
        for name in (
            network.get("IPAddress"),
            network.get("GlobalIPv6Address"),
            *(network.get("Aliases") or ()),
            *(network.get("DNSNames") or ()),
        )
        if name
    )
