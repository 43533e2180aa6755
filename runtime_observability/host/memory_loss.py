"""Whether a Jaeger that keeps traces in memory has started again, and so lost them. Read-only."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime

from runtime_observability.core import naming
from runtime_observability.host import runner

_FORMAT = (
    '{"restarts":{{.RestartCount}},"created":{{json .Created}},"started":{{json .State.StartedAt}},'
    f'"store":{{{{json (index .Config.Labels "{naming.STORE_LABEL}")}}}}}}'
)
_START_SECONDS = 30
"""Within this time after its creation a container starts for the first time."""


@dataclass(frozen=True)
class MemoryLoss:
    """Traces of before ``at`` are gone."""

    at: datetime
    restarts: int
    """How often Docker has started it again because it ended by itself."""
    out_of_memory: bool
    """Whether Docker knows that it ended because of its memory limit; it soon forgets."""

    def __str__(self) -> str:
        """A clause, such as: Jaeger restarted at 14:03:05 and keeps its traces in memory."""
        text = f"Jaeger restarted at {self.at.astimezone():%H:%M:%S} and keeps its traces in memory"
        if not self.restarts:
            return text
        times = "once" if self.restarts == 1 else f"{self.restarts} times"
        why = "it ran out of memory" if self.out_of_memory else "perhaps it ran out of memory"
        return (
            f"{text}. Docker restarted it {times}: {why}. Raise jaegerMemoryMiB, lower "
            "jaegerMaxTraces, or use traceStore badger"
        )


def find(container: str) -> MemoryLoss | None:
    """That of a Jaeger; None where nothing was lost, or Docker cannot tell."""
    try:
        shown = runner.run(["docker", "inspect", "--format", _FORMAT, container])
        if shown.code:
            return None
        life = json.loads(shown.stdout)
        created, started = (datetime.fromisoformat(life[key]) for key in ("created", "started"))
    except (runner.CommandError, ValueError, LookupError, TypeError):
        return None
    again = life["restarts"] or (started - created).total_seconds() > _START_SECONDS
    if life["store"] or not again:
        return None
    return MemoryLoss(started, life["restarts"], _ran_out(container) if life["restarts"] else False)


def _ran_out(container: str) -> bool:
    """Docker remembers its last 256 events (moby daemon/events/events.go)."""
    events = ["docker", "events", "--since", "24h", "--until", "0s", "--format", "{{.Action}}"]
    filters = ["--filter", f"container={container}", "--filter", "event=oom"]
    return bool(runner.run([*events, *filters]).stdout.strip())
