"""Which components are traced, node by node, and since when they have been silent."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ktrace.components import APISERVER, CONTAINERD, ETCD, KUBELET
from ktrace.jaeger import Jaeger, JaegerError, Span, Trace
from ktrace.pipeline import hops
from ktrace.pipeline.hops import BrokenHop
from ktrace.pipeline.pipelines import Pipeline

_ON_SERVERS = (APISERVER, ETCD)
_ON_ALL_NODES = (KUBELET, CONTAINERD)
_HOST_TAG = "host.name"
"""Set by the kubelet of its own accord."""
_NODE_TAGS = ("k8s.node.name", _HOST_TAG)
"""The first is on all spans of a node, but only where the node is configured to set it."""
_UNNAMED_TRACES = 50
"""The newest traces among which to look for a span that names no node."""
CONTROL_PLANE = "(control plane)"
"""Stands for the node of an API server that is on none of the cluster's nodes."""
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
    node_known: bool = True
    """False where ``last_span`` is of a span that names none of the cluster's nodes: it may have
    come from another node that runs the component."""
    problem: str = ""
    """Why the last look at it failed."""
    broken: BrokenHop | None = None


def expected_components(outputs: Mapping[str, Any], services: Sequence[str]) -> set[str]:
    """What must be traced: what the probe found or, without one, what the settings imply. A stack
    of an earlier release may tell neither; then by its links, or else by Jaeger's ``services``.

    Both lists are empty where sampling is so rare that no trace can be demanded. A Jaeger may have
    a service from before the stack's last change, or of another stack.
    """
    for told in ("tracedComponents", "expectedComponents"):
        if told in outputs:
            return set(outputs[told])
    expected = {APISERVER, KUBELET}
    links = outputs.get("links", {})
    if "imagePulls" in links or (CONTAINERD in services and not links):
        expected.add(CONTAINERD)
    if "slowEtcdRequests" in links:
        expected.add(ETCD)
    return expected


def parts_of(nodes: Sequence[Node], expected: set[str]) -> list[Coverage]:
    """Each component on each node that runs it; etcd only where it is ``expected``.

    Where no node is a server, somebody else runs the control plane: its part is not demanded.
    """
    parts = [
        Coverage(component, node.name, component in expected)
        for node in nodes
        for component in (*_ON_SERVERS, *_ON_ALL_NODES)
        if (node.server or component in _ON_ALL_NODES)
        and (component != ETCD or component in expected)
    ]
    managed = [] if any(node.server for node in nodes) else [CONTROL_PLANE]
    return [*(Coverage(APISERVER, place, expected=False) for place in managed), *parts]


def watch(
    jaeger: Jaeger, parts: Sequence[Coverage], since: float, seconds: float
) -> list[Coverage]:
    """Waits until every expected part has a span that ended after ``since``, or time is up.

    A Jaeger that does not answer is queried again until then.
    """
    deadline = time.monotonic() + seconds
    watched = list(parts)
    while True:
        watched = _look_at_all(jaeger, watched, since, deadline)
        if all(part.ok or not part.expected for part in watched) or time.monotonic() > deadline:
            return watched
        time.sleep(_POLL_SECONDS)


def _look_at_all(
    jaeger: Jaeger, parts: Sequence[Coverage], since: float, deadline: float
) -> list[Coverage]:
    """After ``deadline`` the first error is that of all parts which are not known to be traced."""
    looked: list[Coverage] = []
    problem = ""
    for part in parts:
        if part.ok:
            looked.append(part)
            continue
        if not problem or time.monotonic() <= deadline:
            try:
                looked.append(look(jaeger, part, parts, since))
                continue
            except JaegerError as error:
                problem = str(error)
        looked.append(replace(part, problem=problem))
    return looked


def look(jaeger: Jaeger, part: Coverage, parts: Sequence[Coverage], since: float) -> Coverage:
    """``part`` with its newest span; it is ok if that span ended after ``since``."""
    places = [other.node for other in parts if other.component == part.component]
    newest, node_known = _newest_end(jaeger, part, places), True
    is_new = newest is not None and newest >= since
    if not is_new and len(places) > 1 and not _is_told_by_kubelet(jaeger, part):
        anywhere = _newest_end_anywhere(jaeger, part.component, places)
        if anywhere is not None and anywhere > (newest or 0):
            newest, node_known = anywhere, False
    return replace(
        part,
        last_span=newest,
        ok=newest is not None and newest >= since,
        node_known=node_known,
        problem="",
    )


def explain(parts: Sequence[Coverage], pipeline: Pipeline) -> list[Coverage]:
    """Adds the first broken hop to every expected part that is silent."""
    return [
        part
        if part.ok or not part.expected
        else replace(
            part,
            broken=hops.first_broken(pipeline, part.node, part.component, unread=part.problem),
        )
        for part in parts
    ]


def _newest_end(jaeger: Jaeger, part: Coverage, places: Sequence[str]) -> float | None:
    """When the newest span of a component on a node ended, as Unix time in seconds.

    Where nodes do not set their names, the kubelet still sets its host's, containerd's spans are
    found in the kubelet's traces, and a component that runs in one of ``places`` only needs no
    name.
    """
    start, alone = _look_back(), len(places) == 1
    for tag in _NODE_TAGS:
        traces = jaeger.find(part.component, tags={tag: part.node}, start=start, limit=1)
        if not traces and part.component == CONTAINERD and tag == _HOST_TAG and not alone:
            traces = jaeger.find(KUBELET, tags={tag: part.node}, start=start, limit=20)
        spans = [
            span
            for span in _of(part.component, traces)
            if part.node in _names(span) or _names(span).isdisjoint(places)
        ]
        if newest := _last_end(spans):
            return newest
    if alone:
        return _last_end(_of(part.component, jaeger.find(part.component, start=start, limit=1)))
    return None


def _is_told_by_kubelet(jaeger: Jaeger, part: Coverage) -> bool:
    """Whether a containerd whose spans name no node would be found by the kubelet's traces."""
    return part.component == CONTAINERD and any(
        jaeger.find(KUBELET, tags={tag: part.node}, start=_look_back(), limit=1)
        for tag in _NODE_TAGS
    )


def _newest_end_anywhere(jaeger: Jaeger, component: str, places: Sequence[str]) -> float | None:
    """When the newest span of ``component`` ended that names none of ``places``.

    The API server names its node only where somebody has configured that, and a node's host may
    have another name than the node.
    """
    traces = jaeger.find(component, start=_look_back(), limit=_UNNAMED_TRACES)
    unnamed = (span for span in _of(component, traces) if _names(span).isdisjoint(places))
    return _last_end(unnamed)


def _look_back() -> int:
    return int((time.time() - _LOOK_BACK_SECONDS) * 1_000_000)


def _of(component: str, traces: Sequence[Trace]) -> list[Span]:
    return [span for trace in traces for span in trace.spans if span.service == component]


def _last_end(spans: Iterable[Span]) -> float | None:
    ends = [span.end for span in spans]
    return max(ends) / 1_000_000 if ends else None


def _names(span: Span) -> set[str]:
    """The node that ``span`` names; two where somebody gave the node another one's name."""
    tags = (source.get(tag) for tag in _NODE_TAGS for source in (span.tags, span.process))
    return {str(name) for name in tags if name}
