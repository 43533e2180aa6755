"""A pod's ending as ktrace shows it.

An ending begins with the first request that deletes or evicts the pod, or with what the kubelet
does when a pod ends on its own. It ends when the API server has removed the object and the kubelet
has ended its part, whichever is later; that of a pod that nobody has deleted ends with the kubelet.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ktrace.jaeger import Trace
from ktrace.podstart.model import Request, Step, Waiting

DELETED, EVICTED, IN_COLLECTION = "deleted", "evicted", "deleted with its collection"
REQUEST, OBJECT, KUBELET = "request", "object", "kubelet"
"""What tells when an ending began; the pod object knows it to the second."""
KILLED, ENDED = "killed", "ended"


@dataclass(frozen=True)
class Asked:
    """A request that deletes or evicts the pod."""

    how: str
    """DELETED, EVICTED or IN_COLLECTION."""
    by: str
    """Its client, as the user agent names it; ``not known`` without one."""
    at: datetime
    at_once: bool = False
    """Whether the API server removed the object within this request."""


@dataclass(frozen=True)
class ContainerEnd:
    """How a container ended; what is not known is None or empty."""

    name: str
    kind: str = ""
    how: str = ""
    """KILLED if it had not ended by the end of its grace period, ENDED if it had."""
    stop_ms: float | None = None
    """How long the runtime took to stop it."""
    resisted_ms: float | None = None
    """Of a killed one: between its stop signal and SIGKILL."""
    pre_stop_ms: float | None = None
    """How long its preStop command took; spans tell of no other kind of handler."""
    exit_code: int | None = None
    reason: str = ""
    """The runtime's reason of its end, such as ``OOMKilled``."""


@dataclass(frozen=True)
class PodEnding:
    namespace: str
    pod: str
    uid: str = ""
    """As the kubelet's spans have it, else as the pod object."""
    node: str = ""
    asked: tuple[Asked, ...] = ()
    """Requests to delete or evict it, ordered by time; not those of its own kubelet."""
    deleted: bool | None = None
    """Whether its deletion has been requested; None if that is not known."""
    begun: datetime | None = None
    begun_by: str = ""
    """REQUEST, OBJECT or KUBELET; empty where its beginning is not known."""
    beginning_known: bool = True
    """Whether ``begun`` is not only when what is left of it begins."""
    ended: bool | None = None
    """Whether nothing of it is left but, if nobody deleted it, its object; None if not known."""
    duration_ms: float | None = None
    """From ``begun`` to its end, or to ``looked_at`` while it goes on; None if not known."""
    to_the_second: bool = False
    """Whether its beginning or its end is known from the pod object alone."""
    phase: str = ""
    """The pod object's: ``Succeeded`` or ``Failed`` of a pod that has ended on its own."""
    outcome: str = ""
    """The object's reason and message, such as those of an eviction."""
    disruption: str = ""
    """Reason and message of the condition DisruptionTarget: who ends it, and why."""
    grace_seconds: int | None = None
    """The grace period that the object has now; None if no object tells it."""
    finalizers: tuple[str, ...] = ()
    """Those of the object while it is there."""
    containers: tuple[ContainerEnd, ...] = ()
    steps: tuple[Step, ...] = ()
    waiting: tuple[Waiting, ...] = ()
    """What it waits for at ``looked_at``."""
    notes: tuple[str, ...] = ()
    """What the steps cannot show, and why."""
    missing: tuple[str, ...] = ()
    """The sources that could not be read, each with the reason."""
    trace_ids: tuple[str, ...] = ()
    spans_without_parent: int = 0
    lacks_spans: bool = False
    """Whether Jaeger has nothing of the runtime of a container's stop."""
    looked_at: datetime | None = field(default=None, compare=False)
    """When the sources were read."""

    @property
    def goes_on(self) -> bool:
        """Whether it has begun, and is known not to have ended."""
        return self.ended is False and self.begun is not None

    @property
    def killed(self) -> tuple[str, ...]:
        """The containers that had to be killed; one without a known name is ``a container``."""
        return tuple(
            found.name or "a container" for found in self.containers if found.how == KILLED
        )

    @property
    def ended_at(self) -> datetime | None:
        """None while it goes on, and where that is not known."""
        if not self.ended or self.begun is None or self.duration_ms is None:
            return None
        return self.begun + timedelta(milliseconds=self.duration_ms)

    @property
    def length_ms(self) -> float:
        """Of the time that the steps are laid on."""
        ends = [step.end_ms for step in self.steps]
        return max([self.duration_ms or 0.0, *ends])

    @property
    def slowest(self) -> Step | None:
        """The step, or detail of one, that the ending waited for longest."""
        named = [step for step in self.steps if step.share > 0]
        return max(named, key=lambda step: step.share, default=None)

    def trace_urls(self, jaeger_url: str) -> list[str]:
        return [f"{jaeger_url}/trace/{trace_id}" for trace_id in self.trace_ids]


@dataclass(frozen=True)
class Write:
    """A request that changed the pod object, or removed it."""

    request: Request
    client: str
    how: str = ""
    """DELETED, EVICTED or IN_COLLECTION; empty for any other change."""
    kubelet: bool = False
    status: bool = False
    """Whether it changed the pod's status alone."""
    binds: bool = False
    """Whether it bound the pod to a node."""
    removed: bool | None = None
    """Whether the object was gone after it; None where the spans do not tell."""


@dataclass(frozen=True)
class Spans:
    """What Jaeger has of a pod's ending."""

    terminating: Sequence[Trace] = ()
    """The traces of the kubelet's syncTerminatingPods, of a running one too."""
    terminated: Sequence[Trace] = ()
    writes: Sequence[Write] = ()
    """Ordered by start."""
    names: Mapping[str, str] = field(default_factory=dict)
    """Containers' names by the runtime's ids."""
    created: bool = False
    """Whether the request that created the pod is there: then nothing before its end is lost."""
    seen_by_kubelet: bool = False
    """Whether Jaeger has a syncPod of it."""
    limits: Sequence[str] = ()
    """What was too much to read, in words."""
