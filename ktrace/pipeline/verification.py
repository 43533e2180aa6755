"""Is every component traced on every node, and if not, which hop to Jaeger is broken?"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ktrace.jaeger import Jaeger, JaegerError
from ktrace.pipeline import coverage, pipelines
from ktrace.pipeline.collector_metrics import Counters, Destination
from ktrace.pipeline.coverage import Coverage, Node
from ktrace.pipeline.pipelines import StackPipeline
from ktrace.pipeline.synthetic_span import Synthetic
from runtime_observability.core.crashes import Crashes
from runtime_observability.host.memory_loss import MemoryLoss

_POLL_SECONDS = 0.5


@dataclass(frozen=True)
class Verification:
    parts: list[Coverage]
    synthetic: Synthetic | None
    """None where no span was sent: the collector is not known, or drops nearly all spans."""
    destinations: list[Destination] = field(default_factory=list)
    """Those beside Jaeger. What they lose breaks nothing that leads to Jaeger."""

    to_jaeger: Counters | None = None
    """What the collector has counted of its way to Jaeger; None where that is not known."""

    chooses: bool = False
    """Whether the collector passes on chosen traces alone: then a silent component is no fault."""

    loss: MemoryLoss | None = None
    """What a restart of Jaeger has lost. New traces arrive all the same."""
    crashes: tuple[Crashes, ...] = ()
    """What Docker has restarted, but for a Jaeger that ``loss`` tells of."""
    has_jaeger: bool = True
    """Whether the stack has a Jaeger of its own. Another one may leave out the span that was sent:
    what is between a destination and that Jaeger is not known."""

    not_known: tuple[str, ...] = ()
    """What cannot be judged because no Jaeger can be asked."""

    retention_fault: str = ""
    """Why old indices may be left in Jaeger's store; empty if none are known to be."""

    @property
    def restarted(self) -> tuple[Crashes, ...]:
        """All that Docker has restarted."""
        own = self.loss.crashes if self.loss else None
        return (*([own] if own else []), *self.crashes)

    @property
    def ok(self) -> bool:
        return all(part.ok or not part.expected for part in self.parts) and (
            self.synthetic is None or self.synthetic.ok or not self.has_jaeger
        )


def verify(
    jaeger: Jaeger,
    nodes: Sequence[Node],
    outputs: Mapping[str, Any],
    *,
    since: float,
    seconds: float,
) -> Verification:
    """Waits up to ``seconds`` for spans that ended after ``since``, a Unix time in seconds.

    ``outputs`` are the stack's; empty for a cluster that this project did not make.
    """
    deadline = time.monotonic() + seconds
    services = _services(jaeger, deadline)
    traced = coverage.expected_components(outputs, services)
    pipeline = pipelines.of_nodes(jaeger, [node.name for node in nodes])
    of_stack = pipeline if isinstance(pipeline, StackPipeline) else None
    chooses = of_stack is not None and of_stack.chooses
    incomplete = of_stack is not None and of_stack.leaves_spans_out
    if incomplete and "tracedComponents" not in outputs:
        traced &= set(services)
    expected = set() if chooses else traced
    left = max(0.0, deadline - time.monotonic())
    parts = coverage.watch(jaeger, coverage.parts_of(nodes, expected), since, left)
    explained = coverage.explain(parts, pipeline)
    return Verification(
        explained,
        of_stack.synthetic if of_stack and traced and not incomplete else None,
        of_stack.destinations if of_stack else [],
        of_stack.to_jaeger if of_stack and of_stack.has_jaeger else None,
        chooses=chooses,
        has_jaeger=of_stack is None or of_stack.has_jaeger,
        retention_fault=of_stack.retention_fault if of_stack else "",
    )


def _services(jaeger: Jaeger, deadline: float) -> list[str]:
    """What is expected depends on them, so a Jaeger that does not answer is queried again."""
    while True:
        try:
            return jaeger.services()
        except JaegerError:
            if time.monotonic() >= deadline:
                return []  # the hop "Jaeger has them" reports this error
        time.sleep(_POLL_SECONDS)
