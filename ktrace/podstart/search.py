"""Finds a pod's start in Jaeger, and waits until its spans have arrived."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TypeVar

from ktrace.components import APISERVER, KUBELET
from ktrace.jaeger import Jaeger, Span, Trace
from ktrace.podstart.build import build
from ktrace.podstart.calls import SYNC
from ktrace.podstart.model import Events, PodStart

_POLL_SECONDS = 1.0
"""Longer than an exporter's delay of 500 ms: two equal results mean that nothing is on its way."""
_SECOND = 1_000_000
"""In microseconds, as all of Jaeger's times."""
_LONGEST_START = 30 * 60 * _SECOND
_LONGEST_CREATION = 60 * 60 * _SECOND
_RECENT_TRACES = 200
_ETCD_PREFIXES = ("", "/registry")
"""Before a key in the API server's spans: none since 1.31 at the latest; /registry is the default,
which k3s keeps."""
_POD = "k8s.pod"
_POD_UID = "k8s.pod.uid"

T = TypeVar("T")


def settled(look: Callable[[], T], complete: Callable[[T], bool], seconds: float) -> T:
    """The first result that is ``complete`` and twice the same; after ``seconds`` the last one."""
    deadline = time.monotonic() + seconds
    previous = look()
    while time.monotonic() < deadline:
        time.sleep(min(_POLL_SECONDS, max(0.0, deadline - time.monotonic())))
        current = look()
        if complete(current) and current == previous:
            return current
        previous = current
    return previous


def wait_for_start(jaeger: Jaeger, namespace: str, pod: str, seconds: float) -> PodStart | None:
    """The newest start of a pod of that name, once no span of it is missing.

    After ``seconds`` it is what has arrived by then, or None. A start that failed needs no longer
    wait: a syncPod that is in Jaeger has ended.
    """
    return settled(
        lambda: look_for_start(jaeger, namespace, pod),
        lambda start: start is not None and not start.spans_without_parent,
        seconds,
    )


def look_for_start(
    jaeger: Jaeger, namespace: str, pod: str, uid: str | None = None
) -> PodStart | None:
    """The newest start of a pod of that name, or that of ``uid``, as far as Jaeger has it now."""
    key = f"{namespace}/{pod}"
    first = _first_sync(jaeger, {_POD: key} | ({_POD_UID: uid} if uid else {}))
    if first is None:
        return None
    uid = first.tags.get(_POD_UID)
    traces = jaeger.find(
        KUBELET,
        SYNC,
        tags={_POD: key},
        start=first.start - _SECOND,
        end=first.start + _LONGEST_START,
        limit=500,
    )
    syncs = [
        trace for trace in traces if any(span.tags.get(_POD_UID) == uid for span in trace.spans)
    ]
    events = Events(syncs, _creation(jaeger, key, first), _binding(jaeger, namespace, pod, first))
    return build(namespace, pod, events)


def recent_pods(jaeger: Jaeger) -> set[str]:
    """namespace/name of the pods in the newest of the kubelet's traces."""
    traces = jaeger.find(KUBELET, SYNC, limit=_RECENT_TRACES)
    return {str(span.tags[_POD]) for trace in traces for span in trace.spans if _POD in span.tags}


def _first_sync(jaeger: Jaeger, tags: Mapping[str, str]) -> Span | None:
    """The first syncPod of the newest pod with ``tags``: others follow about every minute."""
    created = jaeger.find(KUBELET, SYNC, tags={**tags, "k8s.pod.update_type": "create"}, limit=20)
    syncs = _syncs(created) or _syncs(jaeger.find(KUBELET, SYNC, tags=tags))
    if not syncs:
        return None
    newest = max(syncs, key=lambda span: span.start)
    same_pod = [span for span in syncs if span.tags.get(_POD_UID) == newest.tags.get(_POD_UID)]
    return min(same_pod, key=lambda span: span.start)


def _syncs(traces: list[Trace]) -> list[Span]:
    return [span for trace in traces for span in trace.spans if span.operation == SYNC]


def _creation(jaeger: Jaeger, key: str, first_sync: Span) -> Span | None:
    """The request that created the pod, found by the key under which the pod was stored."""
    for prefix in _ETCD_PREFIXES:
        tags = {"key": f"{prefix}/pods/{key}"}
        if request := _request(jaeger, "Create etcd3", tags, first_sync):
            return request
    return None


def _binding(jaeger: Jaeger, namespace: str, pod: str, first_sync: Span) -> Span | None:
    url = f"/api/v1/namespaces/{namespace}/pods/{pod}/binding"
    return _request(jaeger, "", {"url": url}, first_sync)


def _request(
    jaeger: Jaeger, operation: str, tags: Mapping[str, str], first_sync: Span
) -> Span | None:
    """The outermost span of the request that holds the newest span with ``tags``.

    The trace's longest span would not do: if the client traces itself, its trace holds several
    requests.
    """
    traces = jaeger.find(
        APISERVER,
        operation,
        tags=tags,
        start=first_sync.start - _LONGEST_CREATION,
        end=first_sync.start,
    )
    matches = [
        (trace, span)
        for trace in traces
        for span in trace.spans
        if span.service == APISERVER
        and span.start <= first_sync.start
        and tags.items() <= span.tags.items()
    ]
    if not matches:
        return None
    trace, newest = max(matches, key=lambda match: match[1].start)
    return trace.outermost(newest, APISERVER)
