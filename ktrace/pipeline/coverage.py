"""Which components are traced, node by node, and since when they have been silent."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ktrace.jaeger import Jaeger, JaegerError
from ktrace.pipeline.hops import BrokenHop, Foreign

SERVER_COMPONENTS = ("apiserver", "etcd")
NODE_COMPONENTS = ("kubelet", "containerd")
_NODE_TAGS = ("k8s.node.name", "host.name")
"""The first where the nodes are told to say it, the second of the kubelet's own accord."""
_LOOK_BACK_SECONDS = 3600
_POLL_SECONDS = 0.5


@dataclass(frozen=True)
class Node:
    name: str
    server: bool


@dataclass(frozen=True)
class Coverage:
    """``last_span``: Unix time in seconds at which the newest span ended."""

    component: str
    node: str
    expected: bool
    last_span: float | None = None
    ok: bool = False
    broken: BrokenHop | None = None

    def document(self, now: float) -> dict[str, Any]:
        age = None if self.last_span is None else round(max(0.0, now - self.last_span), 1)
        return {
            "component": self.component,
            "node": self.node,
            "expected": self.expected,
            "ok": self.ok,
            "lastSpanAgeSeconds": age,
            "brokenHop": self.broken.document if self.broken else None,
        }


def expected_components(outputs: Mapping[str, Any], services: Sequence[str]) -> set[str]:
    """What must be traced: what the probe found, else what the stack's links and Jaeger imply.

    An empty list of the probe's means that sampling lets nothing be demanded.
    """
    if "tracedComponents" in outputs:
        return set(outputs["tracedComponents"])
    expected = {"apiserver", "kubelet"}
    if "containerd" in services or "imagePulls" in outputs.get("links", {}):
        expected.add("containerd")
    return expected


def wanted(nodes: Sequence[Node], expected: set[str]) -> list[Coverage]:
    """One for each component on each node that runs it."""
    return [
        Coverage(component, node.name, component in expected)
        for node in nodes
        for component in (*SERVER_COMPONENTS, *NODE_COMPONENTS)
        if (node.server or component in NODE_COMPONENTS)
        and (component != "etcd" or component in expected)
    ]


def watch(
    jaeger: Jaeger, parts: Sequence[Coverage], since: float, seconds: float
) -> list[Coverage]:
    """Waits until every expected part has a span that ended after ``since``, or time is up.

    A Jaeger that does not answer counts as one without spans: that is a finding, with a hop.
    """
    deadline = time.monotonic() + seconds
    found = list(parts)
    while True:
        try:
            found = [part if part.ok else look(jaeger, part, parts, since) for part in found]
        except JaegerError:
            return found
        if all(part.ok or not part.expected for part in found) or time.monotonic() > deadline:
            return found
        time.sleep(_POLL_SECONDS)


def look(jaeger: Jaeger, part: Coverage, parts: Sequence[Coverage], since: float) -> Coverage:
    newest = _newest(jaeger, part, alone=sum(p.component == part.component for p in parts) == 1)
    return replace(part, last_span=newest, ok=newest is not None and newest >= since)


def explain(parts: Sequence[Coverage], pipeline: Foreign) -> list[Coverage]:
    """Adds the first broken hop to every silent part."""
    return [
        part
        if part.ok or not part.expected
        else replace(part, broken=pipeline.first_broken(part.node, part.component))
        for part in parts
    ]


def _newest(jaeger: Jaeger, part: Coverage, *, alone: bool) -> float | None:
    """When the newest span of a component on a node ended.

    A cluster that does not tell its nodes' names: the kubelet says its own, containerd's spans
    are in the kubelet's traces, and what runs on one node alone needs no name.
    """
    start = int((time.time() - _LOOK_BACK_SECONDS) * 1_000_000)
    for tag in _NODE_TAGS:
        found = jaeger.find(part.component, tags={tag: part.node}, start=start, limit=1)
        if not found and part.component == "containerd" and tag == "host.name" and not alone:
            found = jaeger.find("kubelet", tags={tag: part.node}, start=start, limit=20)
        if newest := _last_end(found, part.component):
            return newest
    if alone:
        return _last_end(jaeger.find(part.component, start=start, limit=1), part.component)
    return None


def _last_end(traces: Sequence[Any], component: str) -> float | None:
    ends = [span.end for trace in traces for span in trace.spans if span.service == component]
    return max(ends) / 1_000_000 if ends else None
