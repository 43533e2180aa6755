"""A pod's start as ktrace shows it.

A start begins with the request that creates the pod and ends when the last of its containers has
been started for the first time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from ktrace.jaeger import Span, Trace


@dataclass(frozen=True)
class Step:
    """A part of a start; ``start_ms`` is in milliseconds since the beginning of the start."""

    name: str
    component: str
    start_ms: float
    duration_ms: float
    critical: bool = False
    """Whether the start waited for it."""
    unexplained: bool = False
    """Whether no span covers it."""
    depth: int = 0
    """1 for a detail of the last step of depth 0 before it."""
    error: str = ""

    @property
    def end_ms(self) -> float:
        return self.start_ms + self.duration_ms


@dataclass(frozen=True)
class PodStart:
    namespace: str
    pod: str
    started_at: datetime
    duration_ms: float
    steps: tuple[Step, ...]
    trace_ids: tuple[str, ...]
    complete: bool
    """Whether a container has started; if not, the steps end where the start has got to."""
    spans_without_parent: int = 0
    """Number of spans in its traces whose parent has not arrived."""
    notes: tuple[str, ...] = ()
    """What the steps cannot show, and why."""

    @property
    def unexplained_ms(self) -> float:
        """Time that no span covers, including gaps too short for a step of their own."""
        explained = [step for step in self.steps if step.depth == 0 and not step.unexplained]
        return max(0.0, self.duration_ms - _covered_ms(explained))

    @property
    def slowest(self) -> Step | None:
        return max(
            (step for step in self.steps if step.depth == 0),
            key=lambda step: step.duration_ms,
            default=None,
        )

    def trace_urls(self, jaeger_url: str) -> list[str]:
        return [f"{jaeger_url}/trace/{trace_id}" for trace_id in self.trace_ids]


@dataclass(frozen=True)
class Events:
    """What Jaeger has of a pod's start."""

    syncs: Sequence[Trace]
    """The traces of the kubelet's syncPods for this pod."""
    creation: Span | None = None
    """The API server's span of the request that created the pod."""
    binding: Span | None = None
    """The API server's span of the request that bound the pod to its node."""


def _covered_ms(steps: Sequence[Step]) -> float:
    """Length of the union of ``steps``: where they overlap, time counts once."""
    total, covered_until = 0.0, float("-inf")
    for step in sorted(steps, key=lambda step: step.start_ms):
        total += max(0.0, step.end_ms - max(covered_until, step.start_ms))
        covered_until = max(covered_until, step.end_ms)
    return total
