"""Is every component traced, where no Jaeger can be asked? By the collector's own counters."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from ktrace.errors import UnreachableError
from ktrace.pipeline import coverage, hops, pipelines
from ktrace.pipeline.collector_metrics import Arrivals
from ktrace.pipeline.coverage import Coverage, Node
from ktrace.pipeline.hops import BrokenHop
from ktrace.pipeline.pipelines import StackPipeline
from ktrace.pipeline.verification import Verification

_POLL_SECONDS = 0.5
NOT_KNOWN = (
    "whether the spans of a pod's start are one trace",
    "whether the destinations keep what they have taken",
)


def verify(nodes: Sequence[Node], outputs: Mapping[str, Any], *, seconds: float) -> Verification:
    """Waits up to ``seconds`` until spans of every component have arrived in the collector.

    Raises UnreachableError where Docker does not know the cluster's nodes.
    """
    pipeline = pipelines.of_nodes(None, [node.name for node in nodes])
    if not isinstance(pipeline, StackPipeline):
        raise UnreachableError(
            "the stack's collector cannot be found: Docker has none of the cluster's nodes, or does"
            " not answer. `docker ps` shows which"
        )
    before = pipeline.arrivals()
    counted = before.of if isinstance(before, Arrivals) else {}
    known = [component for component, spans in counted.items() if spans]
    expected = coverage.expected_components(outputs, known)
    seen = _watch(pipeline, before, expected, seconds) if isinstance(before, Arrivals) else {}
    return Verification(
        _judged(coverage.parts_of(nodes, expected), seen, pipeline),
        None,
        pipeline.destinations,
        has_jaeger=False,
        not_known=(*NOT_KNOWN, *(("which node a span came from",) if len(nodes) > 1 else ())),
    )


def _watch(
    pipeline: StackPipeline, before: Arrivals, expected: Collection[str], seconds: float
) -> dict[str, float]:
    """By component, the Unix time at which a new span of it was seen to have arrived."""
    deadline = time.monotonic() + seconds
    seen: dict[str, float] = {}
    while True:
        now = pipeline.arrivals()
        if isinstance(now, Arrivals):
            seen = dict.fromkeys(now.since(before), time.time()) | seen
        if seen.keys() >= set(expected) or time.monotonic() > deadline:
            return seen
        time.sleep(_POLL_SECONDS)


def _judged(
    parts: Sequence[Coverage], seen: Mapping[str, float], pipeline: StackPipeline
) -> list[Coverage]:
    """``parts``, of which one is ok if spans of its component arrive and its node's hops work."""
    places = [part.component for part in parts]

    @cache
    def broken_from(node: str) -> BrokenHop | None:
        return hops.broken_on_the_way(pipeline, node)

    judged = []
    for part in parts:
        broken = None
        if part.expected:
            broken = broken_from(part.node)
            if broken is None and part.component not in seen:
                broken = hops.first_broken(pipeline, part.node, part.component)
        judged.append(
            replace(
                part,
                last_span=seen.get(part.component),
                ok=part.component in seen and broken is None,
                node_known=places.count(part.component) == 1,
                broken=broken,
            )
        )
    return judged
