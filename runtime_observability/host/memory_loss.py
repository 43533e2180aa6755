"""Since when a Jaeger keeps traces in its memory, and what was lost before. Read-only.

It loses them when it is restarted, and when another container takes its place, which is then
younger than the cluster.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from runtime_observability.core import naming
from runtime_observability.host import runner

_FORMAT = (
    '{"created":{{json .Created}},"restarts":{{.RestartCount}},'
    '"started":{{json .State.StartedAt}},'
    '"ended":{{json .State.FinishedAt}},'
    f'"made":{{{{json (index .Config.Labels "{naming.MADE_LABEL}")}}}},'
    f'"store":{{{{json (index .Config.Labels "{naming.STORE_LABEL}")}}}}}}'
)
_ONE_RUN = timedelta(minutes=10)
"""A run makes a stack's first Jaeger beside the cluster, after it where Pulumi is slow. One that is
younger than its cluster by less is taken for the first, unless a later run is known to have made
it."""
_KEPT = timedelta(seconds=30)
"""How long exporters keep spans until the collector and Jaeger are there: CONTRIBUTING.md says why
more may be lost."""
_NEVER = datetime.min.replace(tzinfo=UTC)
"""When one ended that has run without an end since it was created: Go's zero time."""


@dataclass(frozen=True)
class MemoryLoss:
    """Traces of before ``at`` are gone."""

    at: datetime
    restarts: int
    """How often Docker has started it again because it ended by itself."""
    out_of_memory: bool
    """Whether Docker knows that it ended because of its memory limit; it soon forgets."""
    replaced: bool = False
    """Whether it was not restarted, but made later than its cluster."""

    def __str__(self) -> str:
        """A clause, such as: Jaeger restarted at 14:03:05 and keeps its traces in memory."""
        if self.replaced:
            made = f"Jaeger was made at {_clock(self.at)}, later than the cluster,"
            return f"{made} and keeps its traces in memory"
        text = f"Jaeger restarted at {_clock(self.at)} and keeps its traces in memory"
        if not self.restarts:
            return text
        times = "once" if self.restarts == 1 else f"{self.restarts} times"
        why = "it ran out of memory" if self.out_of_memory else "perhaps it ran out of memory"
        return (
            f"{text}. Docker restarted it {times}: {why}. Raise jaegerMemoryMiB, lower "
            "jaegerMaxTraces, or use traceStore badger"
        )


@dataclass(frozen=True)
class Memory:
    """What a Jaeger's memory holds arrived after ``since``."""

    since: datetime
    loss: MemoryLoss | None = None
    cluster: datetime | None = None
    """When the cluster's first node was made; None where that is not known."""

    def may_lack_any(self, moment: datetime) -> bool:
        """Whether spans that began after ``moment`` may be missing, even if others are there.

        A cluster's first Jaeger is sent what senders kept until it was there: nothing is missing
        of a cluster that is hardly older than it.
        """
        late = self.cluster is not None and self.cluster + _KEPT < self.since
        return moment < self.since and (bool(self.loss) or late)

    def lacks(self, moment: datetime, *, unseen: bool) -> bool:
        """Whether spans of ``moment`` cannot be in it.

        A Jaeger that has never restarted is also sent what senders kept until it was there, so
        that it lacks what is ``unseen`` alone.
        """
        return moment < self.since and (bool(self.loss) or unseen)

    def __str__(self) -> str:
        """A clause: what it holds, and why no more."""
        if self.loss:
            return str(self.loss)
        return f"Jaeger was made at {_clock(self.since)} and keeps its traces in memory"


def find_restart(container: str) -> MemoryLoss | None:
    """What a Jaeger's restarts lost; None where it had none, or Docker cannot tell."""
    memory = read(container)
    return memory.loss if memory else None


def read(container: str, node: str = "") -> Memory | None:
    """That of a Jaeger; None where it keeps its traces elsewhere, or Docker cannot tell.

    ``node`` is the container of the cluster's first node: without it, and where Docker has none of
    that name, it is not known whether the Jaeger took another's place.
    """
    try:
        shown = runner.run(["docker", "inspect", "--format", _FORMAT, container])
        if shown.code:
            return None
        life = json.loads(shown.stdout)
        started, ended = (datetime.fromisoformat(life[key]) for key in ("started", "ended"))
        if life["store"]:
            return None
        if ended == _NEVER:
            loss = MemoryLoss(started, 0, out_of_memory=False, replaced=True)
            cluster = _created(node) if node else None
            replaced = cluster is not None and _is_replaced(life, cluster)
            return Memory(started, loss if replaced else None, cluster)
        out_of_memory = life["restarts"] > 0 and _ran_out(container)
    except (runner.CommandError, ValueError, LookupError, TypeError):
        return None
    return Memory(started, MemoryLoss(started, life["restarts"], out_of_memory))


def _created(node: str) -> datetime | None:
    """When Docker made the container ``node``; None if there is none."""
    shown = runner.run(["docker", "inspect", "--format", "{{json .Created}}", node])
    return None if shown.code else datetime.fromisoformat(json.loads(shown.stdout))


def _is_replaced(life: dict[str, str], cluster: datetime) -> bool:
    """Whether it is known to have been made by a later run than the cluster's first node.

    MADE_LABEL is of the run that made one in place of one that was gone; where the configuration
    has changed, it is that of the first one.
    """
    if life["made"] and datetime.fromisoformat(life["made"]) > cluster:
        return True
    return datetime.fromisoformat(life["created"]) > cluster + _ONE_RUN


def _ran_out(container: str) -> bool:
    """Docker remembers its last 256 events (moby daemon/events/events.go)."""
    events = ["docker", "events", "--since", "24h", "--until", "0s", "--format", "{{.Action}}"]
    filters = ["--filter", f"container={container}", "--filter", "event=oom"]
    return bool(runner.run([*events, *filters]).stdout.strip())


def _clock(at: datetime) -> str:
    """The time of day here; with the date if that is not today's."""
    here = at.astimezone()
    today = here.date() == datetime.now(UTC).astimezone().date()
    return f"{here:%H:%M:%S}" if today else f"{here:%Y-%m-%d %H:%M:%S}"
