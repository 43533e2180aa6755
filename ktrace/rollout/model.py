"""A rollout as ktrace shows it. Every moment is in UTC; None is not known."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from ktrace.podend.model import PodEnding
from ktrace.podstart.model import PodStart
from ktrace.rollout.workload import Workload


class State(StrEnum):
    """What a pod is when it is looked at."""

    READY = "Ready"
    NOT_READY = "not Ready"
    """Every container has started, or has been seen to; the pod is not Ready."""
    STARTING = "starting"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    ENDING = "ending"
    """Its deletion was requested."""
    GONE = "gone"
    """The API server no longer has it."""
    NOT_KNOWN = "not known"


class Part(StrEnum):
    """What a pod is to the rollout."""

    NEW = "new"
    """It was created by the rollout."""
    BEFORE = "before"
    """It is of the newest revision, and was there before the last write."""
    LATER = "later"
    """It was created when the rollout was over: in place of another one, or for a new node."""


@dataclass(frozen=True)
class Write:
    """The request that created or changed the object."""

    at: datetime
    client: str
    verb: str
    """``create``, ``patch``, ``update``, or with its subresource, ``patch scale``."""
    took_ms: float
    audit_id: str
    trace_id: str


@dataclass(frozen=True)
class Held:
    """The step that a start waited for longest, in milliseconds."""

    step: str
    ms: float
    goes_on: bool = False
    exact: bool = True
    """Whether that is known to more than the second."""


@dataclass(frozen=True)
class RolledPod:
    """A pod of the newest revision, or of a selection. ``start`` None: nothing is known of it."""

    namespace: str
    name: str
    uid: str
    state: State
    part: Part = Part.NEW
    node: str = ""
    owner: str = ""
    created: datetime | None = None
    exact: bool = True
    """Whether ``created`` is a span's, and not the pod object's to the second."""
    ready: datetime | None = None
    """When it was Ready for the first time, or in a Job when it had started."""
    ready_exact: bool = True
    start: PodStart | None = None
    held: Held | None = None
    why: str = ""
    """What it waits for, or why it has failed."""

    @property
    def took_ms(self) -> float | None:
        """From its creation until ``ready``."""
        if self.created is None or self.ready is None:
            return None
        return max(0.0, (self.ready - self.created).total_seconds() * 1000)

    @property
    def took_exact(self) -> bool:
        return self.exact and self.ready_exact


@dataclass(frozen=True)
class Ending:
    """How a pod ended. ``grace`` is in seconds."""

    begun: datetime | None = None
    ended: datetime | None = None
    exact: bool = True
    """Whether ``begun`` is a span's, and not the pod object's to the second."""
    grace: int | None = None
    killed: tuple[str, ...] = ()
    """Containers that had to be killed when the grace period was over."""
    slowest: str = ""
    """The step that it waited for longest."""
    detail: PodEnding | None = None

    @property
    def took_ms(self) -> float | None:
        if self.begun is None or self.ended is None:
            return None
        return max(0.0, (self.ended - self.begun).total_seconds() * 1000)


@dataclass(frozen=True)
class OtherPod:
    """A pod of an older revision, or one that ended since the rollout began."""

    namespace: str
    name: str
    uid: str
    state: State
    revision: str = ""
    node: str = ""
    ending: Ending = Ending()
    kept: bool = False
    """Whether it is to stay as it is, as the object's specification says."""

    @property
    def serves(self) -> bool:
        return self.state not in (State.ENDING, State.GONE)


@dataclass(frozen=True)
class Link:
    """A part of the time from the write to the last Ready pod; ``pod`` empty: a pause."""

    pod: str
    what: str
    begin: datetime
    end: datetime
    ending: bool = False
    exact: bool = True
    """Whether both moments are known from spans, and not to the second."""

    @property
    def ms(self) -> float:
        return max(0.0, (self.end - self.begin).total_seconds() * 1000)


@dataclass(frozen=True)
class Rollout:
    """``workload`` None: a selection of pods, each with a start of its own."""

    what: str
    """``deployment shop/web``."""
    workload: Workload | None
    revision: str = ""
    revision_number: int | None = None
    revision_created: datetime | None = None
    revision_known: bool = True
    """Whether it is known which revision is the newest, and it exists."""
    write: Write | None = None
    begun: datetime | None = None
    begun_exact: bool = False
    pods: tuple[RolledPod, ...] = ()
    """Those that are not Ready first, then the slowest."""
    others: tuple[OtherPod, ...] = ()
    chain: tuple[Link, ...] = ()
    """What the last Ready pod waited for, the newest last; empty where that is not known."""
    notes: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    looked_at: datetime | None = field(default=None, compare=False)

    @property
    def lost(self) -> tuple[OtherPod, ...]:
        """Pods of the newest revision that are gone."""
        if not self.revision:
            return ()
        return tuple(pod for pod in self.others if pod.revision == self.revision)

    @property
    def replacing(self) -> tuple[RolledPod, ...]:
        """Those that may be in the place of one that the rollout had made before: they were not
        Ready yet when a pod of their revision was removed."""
        removed = min((pod.ending.begun for pod in self.lost if pod.ending.begun), default=None)
        if removed is None:
            return ()
        new = (pod for pod in self.pods if pod.part is Part.NEW)
        return tuple(pod for pod in new if pod.ready is None or pod.ready >= removed)
