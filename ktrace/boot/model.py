"""A cluster's boot as ktrace shows it: moments, each with the source that tells it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

DOCKER, LOG, OBJECT, SPAN, PULUMI = "Docker", "node's log", "object", "span", "Pulumi"
"""Sources; objects of the API server and Pulumi know times to the second."""
_TO_THE_SECOND = (OBJECT, PULUMI)


READY = "node Ready"


@dataclass(frozen=True)
class Mark:
    """Something that happened at a moment."""

    at: datetime
    what: str
    source: str
    node: str = ""
    """Empty for what is no node's."""

    @property
    def to_the_second(self) -> bool:
        """Whether it was within the second that begins ``at``."""
        return self.source in _TO_THE_SECOND


@dataclass(frozen=True)
class Line:
    """A mark in its place."""

    mark: Mark
    after_ms: float
    """Since the beginning of the boot."""
    waited_ms: float
    """Since the mark before."""
    critical: bool = False
    """Whether that is one of the few waits that made the length."""


@dataclass(frozen=True)
class NodeStart:
    """How often a node's container has been started."""

    name: str
    created: datetime
    started: datetime
    again: bool
    """Whether this is not its first start."""
    in_boot: bool = True
    """Whether that is a part of the cluster's boot, and not of a later `up` or restart."""


@dataclass(frozen=True)
class Boot:
    cluster: str
    nodes: tuple[NodeStart, ...]
    lines: tuple[Line, ...] = ()
    """Ordered by time."""
    ready: bool | None = None
    """Whether every node is Ready; None if that is not known."""
    length_ms: float | None = None
    """From the first mark until the last node was Ready; None if that is not known."""
    missing: tuple[str, ...] = ()
    """What is not known, each with the reason."""
    notes: tuple[str, ...] = ()

    @property
    def again(self) -> bool:
        """Whether it is the boot of a restart: then it has nothing of the creation."""
        return any(node.again and node.in_boot for node in self.nodes)

    @property
    def begun(self) -> datetime | None:
        return self.lines[0].mark.at if self.lines else None
