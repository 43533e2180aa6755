"""A pod's start as ktrace shows it.

A start begins with the request that creates the pod and ends when the last of its containers has
been started for the first time. Its sources are spans, the pod object and the pod's Events; each
may be missing, and is then named in ``missing``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from ktrace.jaeger import Span, Trace

_SECOND_MS = 1000


@dataclass(frozen=True)
class Step:
    """A part of a start; ``start_ms`` is in milliseconds since the beginning of the start."""

    name: str
    component: str
    start_ms: float
    duration_ms: float
    critical: bool = False
    """Whether it is one of the few steps that made the length of the start."""
    unexplained: bool = False
    """Whether nothing is known to have filled it."""
    depth: int = 0
    """1 for a detail of the last step of depth 0 before it."""
    error: str = ""
    node: str = ""
    """The node whose kubelet or containerd did it; empty for a step of the control plane."""
    share: float = 0.0
    """The part of the start, from 0 to 1, that the start waited for this step and no other."""
    placed: bool = False
    """Whether its times are not those of its span: it was moved or cut so that it neither follows
    nor overlaps what it caused."""

    @property
    def end_ms(self) -> float:
        return self.start_ms + self.duration_ms


def with_details(steps: Sequence[Step]) -> Iterator[list[Step]]:
    """Each step of depth 0 with its details."""
    group: list[Step] = []
    for step in steps:
        if step.depth == 0 and group:
            yield group
            group = []
        group.append(step)
    if group:
        yield group


@dataclass(frozen=True)
class ContainerStart:
    """A container that must start, or one that spans show."""

    name: str
    kind: str
    started: bool


@dataclass(frozen=True)
class Waiting:
    """What a start waits for at the moment; ``since`` is None where its beginning is not known."""

    what: str
    since: datetime | None = None
    stuck: bool = False
    """Whether it does not end by itself, as far as the cluster tells: an error or a back-off."""

    def seconds(self, until: datetime | None) -> float | None:
        """How long it waits for that ``until`` then; None if either is not known."""
        if self.since is None or until is None:
            return None
        seconds = (until - self.since).total_seconds()
        return seconds if seconds > 0 else None


@dataclass(frozen=True)
class Ready:
    """The pod's condition Ready.

    ``after_ms`` is in milliseconds since the beginning of the start, None where it is not Ready or
    that is not known. ``source`` is ``span`` or ``condition``, which has a resolution of a second.
    """

    after_ms: float | None = None
    source: str = ""
    steps: tuple[Step, ...] = ()
    """What lay between the last start of a container and Ready."""
    note: str = ""


@dataclass(frozen=True)
class PodStart:
    namespace: str
    pod: str
    started_at: datetime
    duration_ms: float
    steps: tuple[Step, ...]
    trace_ids: tuple[str, ...]
    complete: bool
    """Whether every container that must start is known to have started."""
    spans_without_parent: int = 0
    """Number of spans in its traces whose parent has not arrived."""
    notes: tuple[str, ...] = ()
    """What the steps cannot show, and why."""
    node: str = ""
    uid: str = ""
    """As the kubelet's spans have it, else as the pod object."""
    containers: tuple[ContainerStart, ...] = ()
    """All that must start if ``wanted_known``, else those that spans show."""
    wanted_known: bool = False
    """Whether the pod object told which containers must start."""
    waiting: tuple[Waiting, ...] = ()
    ready: Ready = Ready()
    missing: tuple[str, ...] = ()
    """The sources that could not be read, each with the reason."""
    lacks_spans: bool = False
    """Whether spans of containers that have started, or of the runtime, are not in Jaeger."""
    goes_on: bool = False
    """Whether the pod object tells that containers will still be started."""
    beginning_known: bool = False
    """Whether ``started_at`` is the pod's beginning, and not only that of what is known of it."""
    so_far: bool = False
    """Whether ``duration_ms`` is the time until ``looked_at``: see ``in_progress``."""
    beginning_lost: bool = False
    """Whether Jaeger has no span of the beginning. The pod object then tells when it was; without
    that, ``started_at`` is that of the spans that are left."""
    length_known: bool = True
    """Whether ``duration_ms`` is that of the whole start, or of how far it has got."""
    to_the_second: bool = False
    """Whether its beginning or its end is known from the pod object alone, to the second."""
    clocks_differ: bool = False
    """Whether its node's clock is known not to be the API server's: how long the steps between
    them took is not known exactly."""
    looked_at: datetime | None = field(default=None, compare=False)
    """When the sources were read."""

    @property
    def started(self) -> int:
        """Number of containers that have started."""
        return sum(container.started for container in self.containers)

    @property
    def wanted(self) -> int | None:
        """Number of containers that must start; None if that is not known."""
        return len(self.containers) if self.wanted_known else None

    @property
    def incomplete(self) -> bool:
        """Whether a container that must start is known not to have started."""
        if self.complete or self.wanted_known:
            return not self.complete
        return not self.started or any(not found.started for found in self.containers)

    @property
    def measured(self) -> bool:
        """Whether its length is known well enough for a step to have a share of it."""
        exact = not self.to_the_second or self.duration_ms >= _SECOND_MS
        return self.length_known and exact

    @property
    def length_ms(self) -> float:
        """Until Ready, where that is known, else until the end of the start."""
        ends = [step.end_ms for step in self.ready.steps]
        return max(self.duration_ms, self.ready.after_ms or 0.0, *ends, 0.0)

    @property
    def unexplained_ms(self) -> float:
        """Time of which nothing is known, including gaps too short for a step of their own."""
        explained = [step for step in self.steps if step.depth == 0 and not step.unexplained]
        return max(0.0, self.duration_ms - _covered_ms(explained))

    @property
    def slowest(self) -> Step | None:
        return max(
            (step for step in self.steps if step.depth == 0),
            key=lambda step: step.duration_ms,
            default=None,
        )

    def waited_seconds(self, waiting: Waiting) -> float | None:
        """Since when it waits for that, until ``looked_at``; None if either is not known."""
        return waiting.seconds(self.looked_at)

    def trace_urls(self, jaeger_url: str) -> list[str]:
        return [f"{jaeger_url}/trace/{trace_id}" for trace_id in self.trace_ids]


@dataclass(frozen=True)
class Request:
    """A request to the API server: its outermost span, and the spans below that."""

    span: Span
    below: Sequence[Span] = ()


@dataclass(frozen=True)
class Pull:
    """Another pod's pull of an image on the same node."""

    start: int
    end: int
    image: str
    pod: str


@dataclass(frozen=True)
class Spans:
    """What Jaeger has of a pod's start."""

    syncs: Sequence[Trace] = ()
    """The traces of the kubelet's syncPods for this pod, of running ones too."""
    creation: Request | None = None
    """The request that created the pod."""
    binding: Request | None = None
    """The request that bound the pod to its node."""
    changes: Sequence[Span] = ()
    """Requests that changed the pod before it was bound, where that took long or goes on."""
    status_patches: Sequence[Span] = ()
    """The kubelet's patches of the pod's status."""
    ephemeral_requests: Sequence[Span] = ()
    """Requests that added an ephemeral container (``kubectl debug``)."""
    other_pulls: Sequence[Pull] = ()
    """Pulls of other pods on the same node while the pod's own pulls may have waited."""
    beginning_lost: bool = False
    """Whether the kubelet's first sync of the pod is not among the spans."""
    limits: Sequence[str] = ()
    """What was too much to read, in words."""


def _covered_ms(steps: Sequence[Step]) -> float:
    """Length of the union of ``steps``: where they overlap, time counts once."""
    total, covered_until = 0.0, float("-inf")
    for step in sorted(steps, key=lambda step: step.start_ms):
        total += max(0.0, step.end_ms - max(covered_until, step.start_ms))
        covered_until = max(covered_until, step.end_ms)
    return total
