"""Which components are traced, node by node, and since when they have been silent."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ktrace.components import APISERVER, CONTAINERD, ETCD, KUBELET
from ktrace.jaeger import Jaeger, JaegerError, Trace
from ktrace.pipeline import hops
from ktrace.pipeline.hops import BrokenHop
from ktrace.pipeline.pipelines import Pipeline

_ON_SERVERS = (APISERVER, ETCD)
_ON_ALL_NODES = (KUBELET, CONTAINERD)
_HOST_TAG = "host.name"
"""Set by the kubelet of its own accord."""
_NODE_TAGS = ("k8s.node.name", _HOST_TAG)
"""The first is on all spans of a node, but only where the node is configured to set it."""
_LOOK_BACK_SECONDS = 3600
_POLL_SECONDS = 0.5


@dataclass(frozen=True)
class Node:
    name: str
    server: bool


@dataclass(frozen=True)
class Coverage:
    """One component on one node; ``last_span`` is the Unix time, in seconds, of its newest end."""

    component: str
    node: str
    expected: bool
    last_span: float | None = None
    ok: bool = False
    broken: BrokenHop | None = None


def expected_components(outputs: Mapping[str, Any], services: Sequence[str]) -> set[str]:
    """What must be traced: what the probe found, or else what the links and Jaeger imply.

    The probe's list is empty where sampling is so rare that no trace can be demanded.
    """
    if "tracedComponents" in outputs:
        return set(outputs["tracedComponents"])
    expected = {APISERVER, KUBELET}
    if CONTAINERD in services or "imagePulls" in outputs.get("links", {}):
        expected.add(CONTAINERD)
    return expected


def parts_of(nodes: Sequence[Node], expected: set[str]) -> list[Coverage]:
    """Each component on each node that runs it; etcd only where it is ``expected``."""
    return [
        Coverage(component, node.name, component in expected)
        for node in nodes
        for component in (*_ON_SERVERS, *_ON_ALL_NODES)
        if (node.server or component in _ON_ALL_NODES)
        and (component != ETCD or component in expected)
    ]


def watch(
    jaeger: Jaeger, parts: Sequence[Coverage], since: float, seconds: float
) -> list[Coverage]:
    """Waits until every expected part has a span that ended after ``since``, or time is up.

    A Jaeger that does not answer ends the wait: then a hop is broken, which ``explain`` names.
    """
    deadline = time.monotonic() + seconds
    watched = list(parts)
    while True:
        try:
            watched = [part if part.ok else look(jaeger, part, parts, since) for part in watched]
        except JaegerError:
            return watched
        if all(part.ok or not part.expected for part in watched) or time.monotonic() > deadline:
            return watched
        time.sleep(_POLL_SECONDS)


def look(jaeger: Jaeger, part: Coverage, parts: Sequence[Coverage], since: float) -> Coverage:
    """``part`` with its newest span; it is ok if that span ended after ``since``."""
    on_one_node = sum(other.component == part.component for other in parts) == 1
    newest = _newest_end(jaeger, part, on_one_node=on_one_node)
    return replace(part, last_span=newest, ok=newest is not None and newest >= since)


def explain(parts: Sequence[Coverage], pipeline: Pipeline) -> list[Coverage]:
    """Adds the first broken hop to every expected part that is silent."""
    return [
        part
        if part.ok or not part.expected
        else replace(part, broken=hops.first_broken(pipeline, part.node, part.component))
        for part in parts
    ]


def _newest_end(jaeger: Jaeger, part: Coverage, *, on_one_node: bool) -> float | None:
    """When the newest span of a component on a node ended, as Unix time in seconds.

    Where nodes do not set their names, the kubelet still sets its host's, containerd's spans are
    found in the kubelet's traces, and a component that runs on one node only needs no name.
    """
    start = int((time.time() - _LOOK_BACK_SECONDS) * 1_000_000)
    for tag in _NODE_TAGS:
        traces = jaeger.find(part.component, tags={tag: part.node}, start=start, limit=1)
        if not traces and part.component == CONTAINERD and tag == _HOST_TAG and not on_one_node:
            traces = jaeger.find(KUBELET, tags={tag: part.node}, start=start, limit=20)
        if newest := _last_end(traces, part.component):
            return newest
    if on_one_node:
        return _last_end(jaeger.find(part.component, start=start, limit=1), part.component)
    return None


def _last_end(traces: Sequence[Trace], component: str) -> float | None:
    ends = [span.end for trace in traces for span in trace.spans if span.service == component]
    return max(ends) / 1_000_000 if ends else None
