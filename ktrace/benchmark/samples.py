"""A measured start, and what many of them have in common. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ktrace.podstart.model import PodStart
from ktrace.podstart.steps import is_handler

WHOLE = "start"
"""From the request that creates the pod until its last container has been started."""
WITHOUT_PULLS = "start without pulls"
"""As Kubernetes' own SLI has it, which leaves out what the pull of an image takes."""
READY = "Ready"
TOTALS = (WHOLE, WITHOUT_PULLS, READY)
UNKNOWN_VERSION = "of an unknown version"
CLOCKS_DIFFER = "its node's clock is not the API server's"
"""Why a start counts nowhere: of the steps between the two it is not known how long they took."""
DETAIL = ": "
"""Between the names of a step and of its detail."""
_PULL = "pull"
_WAITS_FOR_A_PULL = "waits for the pull"


@dataclass(frozen=True)
class Sample:
    """One pod's start; all times are in milliseconds since its beginning."""

    pod: str
    node: str
    start_ms: float
    pulls_ms: float
    ready_ms: float | None
    """None where it is not known."""
    steps: Mapping[str, float]
    """How long each step took, by its name; steps of one name are added up. A detail of a step has
    that one's name before its own: ``create request: webhook policy.example``. The last container's
    postStart handler is one, though it runs after the start."""
    trace_url: str = ""


@dataclass(frozen=True)
class Measurement:
    """What one run of ``ktrace bench`` has measured, in the order of the starts."""

    kubernetes: str
    """Version of the API server."""
    runtimes: Sequence[str]
    """Of the nodes, as they tell them: containerd://2.1.5."""
    image: str
    parallel: int
    started_at: str
    first: Sample | None
    """The cold start, which is told apart: later ones find warm caches. None if its trace is not
    whole."""
    warm: Sequence[Sample]
    """All later ones."""
    failures: Mapping[str, str] = field(default_factory=dict)
    """Why a start counts nowhere, by the pod's name."""
    lost: str = ""
    """Why starts of its time may be missing; empty if none is known to be."""

    @property
    def number(self) -> int:
        """Of starts that were measured."""
        return len(self.warm) + bool(self.first)


def of_start(start: PodStart, jaeger_url: str) -> Sample:
    """What a whole ``start`` took."""
    steps: dict[str, float] = {}
    parent = ""
    for step in (*start.steps, *filter(is_handler, start.ready.steps)):
        name = step.name if step.depth == 0 else f"{parent}{DETAIL}{step.name}"
        parent = parent if step.depth else step.name
        steps[name] = steps.get(name, 0.0) + step.duration_ms
    pulls = sum(took for name, took in steps.items() if DETAIL not in name and _is_pull(name))
    urls = start.trace_urls(jaeger_url)
    return Sample(
        start.pod, start.node, start.duration_ms, pulls, start.ready.after_ms, steps,
        urls[0] if urls else "",
    )  # fmt: skip


def _is_pull(step: str) -> bool:
    return step == _PULL or step.startswith((f"{_PULL} ", _WAITS_FOR_A_PULL))


def rows(samples: Sequence[Sample]) -> dict[str, list[float]]:
    """Milliseconds of each sample, by what took them: the totals, then steps in their order.

    A step that a start does not have took it no time. Ready has the starts of which it is known.
    """
    names = in_order(name for sample in samples for name in sample.steps)
    ready = [sample.ready_ms for sample in samples if sample.ready_ms is not None]
    return {
        WHOLE: [sample.start_ms for sample in samples],
        WITHOUT_PULLS: [max(0.0, sample.start_ms - sample.pulls_ms) for sample in samples],
        **({READY: ready} if ready else {}),
        **{name: [sample.steps.get(name, 0.0) for sample in samples] for name in names},
    }


def in_order(names: Iterable[str]) -> list[str]:
    """Each name once, as they come, but a step's details behind it."""
    steps: dict[str, dict[str, None]] = {}
    for name in names:
        steps.setdefault(name.partition(DETAIL)[0], {})[name] = None
    return [name for step, details in steps.items() for name in {step: None, **details}]
