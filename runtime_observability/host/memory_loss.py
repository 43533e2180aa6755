"""What a stack's Jaeger cannot have: what its memory lost, and what was lost where a container
ended. Read-only.

A Jaeger that keeps traces in its memory loses them when it is restarted, and when another container
takes its place, which is then younger than the cluster. On every store spans are lost where Jaeger,
the collector or the stack's OpenSearch ends by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from runtime_observability.core.crashes import JAEGER, Crashes, clock
from runtime_observability.core.naming import ClusterNames
from runtime_observability.host import crashes as crashes_of
from runtime_observability.host import lives as lives_of
from runtime_observability.host import runner
from runtime_observability.host.lives import Life

_ONE_RUN = timedelta(minutes=10)
"""A run makes a stack's first Jaeger beside the cluster, after it where Pulumi is slow. One that is
younger than its cluster by less is taken for the first, unless a later run is known to have made
it."""
_KEPT = timedelta(seconds=30)
"""How long exporters keep spans until the collector and Jaeger are there: CONTRIBUTING.md says why
more may be lost."""


@dataclass(frozen=True)
class MemoryLoss:
    """Traces of before ``at`` are gone."""

    at: datetime
    crashes: Crashes | None = None
    """Why Docker has restarted it, unless somebody else has."""
    replaced: bool = False
    """Whether it was not restarted, but made later than its cluster."""
    down: bool = False
    """Whether it has not started again since it ended."""

    def __str__(self) -> str:
        """A clause, such as: Jaeger restarted at 14:03:05 and keeps its traces in memory."""
        if self.down:
            return f"Jaeger ended at {clock(self.at)} and kept its traces in memory"
        if self.replaced:
            made = f"Jaeger was made at {clock(self.at)}, later than the cluster,"
            return f"{made} and keeps its traces in memory"
        text = f"Jaeger restarted at {clock(self.at)} and keeps its traces in memory"
        return f"{text}. {self.crashes}" if self.crashes else text


@dataclass(frozen=True)
class Memory:
    """What is known to be missing in a Jaeger, and why."""

    since: datetime | None = None
    """What its memory holds arrived later; None for a Jaeger that keeps its traces elsewhere."""
    loss: MemoryLoss | None = None
    cluster: datetime | None = None
    """When the cluster's first node was made; None where that is not known."""
    crashes: tuple[Crashes, ...] = ()
    """Those that have cost more than ``loss`` tells."""

    def why_lacking_any(self, moment: datetime) -> str:
        """Why spans that began after ``moment`` may be missing, even if others are there; empty
        where none are known to be.

        A cluster's first Jaeger is sent what senders kept until it was there: nothing is missing
        of a cluster that is hardly older than it.
        """
        late = self.cluster and self.since and self.cluster + _KEPT < self.since
        of_memory = self.since and moment < self.since and (self.loss or late)
        ended = (str(crashes) for crashes in self.crashes if crashes.may_lack(moment))
        return "; ".join(filter(None, (self._of_memory if of_memory else "", *ended)))

    def complete_from(self, moment: datetime, now: datetime) -> datetime:
        """From when on nothing that began after ``moment`` is missing for what is known here."""
        ends = [crashes.serves or now for crashes in self.crashes if crashes.may_lack(moment)]
        return max([moment, *ends, *([self.since] if self.since else [])])

    def why_lacking(self, moment: datetime, *, unseen: bool, gaps: bool = False) -> str:
        """Why spans of what began at ``moment`` are not in it; empty where it has them all.

        A Jaeger that has never restarted is also sent what senders kept until it was there, so
        that it lacks what is ``unseen`` alone. Where a container has ended, some were stored all
        the same: none is missing of what has no ``gaps``.
        """
        of_memory = self.since and moment < self.since and (self.loss or unseen)
        known = gaps or unseen
        ended = (str(crashes) for crashes in self.crashes if known and crashes.may_lack(moment))
        return "; ".join(filter(None, (self._of_memory if of_memory else "", *ended)))

    @property
    def _of_memory(self) -> str:
        """A clause: what its memory holds, and why no more."""
        if self.loss:
            return str(self.loss)
        if self.since is None:
            return ""
        return f"Jaeger was made at {clock(self.since)} and keeps its traces in memory"

    def __str__(self) -> str:
        """A clause with all of it."""
        return "; ".join(filter(None, (self._of_memory, *map(str, self.crashes))))


def read(names: ClusterNames) -> Memory | None:
    """That of a stack's Jaeger; None where Docker cannot tell, or knows of nothing."""
    return of(names, lives(names))


def lives(names: ClusterNames, further: Iterable[str] = ()) -> dict[str, Life]:
    """What ``of`` needs of the stack's containers, and the same of ``further`` ones, by name;
    nothing where Docker cannot tell."""
    wanted = (*crashes_of.parts(names), names.node("server", 0), *further)
    try:
        return lives_of.read(*dict.fromkeys(wanted))
    except (runner.CommandError, ValueError, LookupError, TypeError):
        return {}


def of(names: ClusterNames, known: Mapping[str, Life]) -> Memory | None:
    """As ``read``, of the lives that are ``known``.

    Where Docker has no server of the cluster, it is not known whether the Jaeger took another's
    place.
    """
    try:
        ended = crashes_of.among(known, names)
        node = known.get(names.node("server", 0))
        if (jaeger := known.get(names.jaeger)) and not jaeger.store:
            return _of_memory(jaeger, node, ended)
    except (runner.CommandError, ValueError, LookupError, TypeError):
        return None
    cluster = node.created if node else None
    return Memory(cluster=cluster, crashes=ended) if ended or cluster else None


def _of_memory(jaeger: Life, node: Life | None, ended: tuple[Crashes, ...]) -> Memory:
    """``node`` is the cluster's first server."""
    others = tuple(crashes for crashes in ended if crashes.of != JAEGER)
    if jaeger.ended:
        own = next((crashes for crashes in ended if crashes.of == JAEGER), None)
        if not jaeger.runs and not own:
            return Memory(jaeger.ended, MemoryLoss(jaeger.ended, down=True), crashes=others)
        return Memory(jaeger.started, MemoryLoss(jaeger.started, own), crashes=others)
    replaced = node is not None and _is_replaced(jaeger, node.created)
    loss = MemoryLoss(jaeger.started, replaced=True) if replaced else None
    return Memory(jaeger.started, loss, node.created if node else None, others)


def _is_replaced(jaeger: Life, cluster: datetime) -> bool:
    """Whether it is known to have been made by a later run than the cluster's first node.

    MADE_LABEL is of the run that made one in place of one that was gone; where the configuration
    has changed, it is that of the first one.
    """
    if jaeger.made and datetime.fromisoformat(jaeger.made) > cluster:
        return True
    return jaeger.created > cluster + _ONE_RUN
