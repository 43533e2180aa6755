"""Finds a pod's start in Jaeger, and waits until what is on its way has come."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TypeVar

from ktrace.jaeger import Jaeger, Span, Trace
from ktrace.podstart.start import APISERVER, Events, PodStart, build

POLL_SECONDS = 1.0
"""Longer than an exporter's delay of 500 ms, so that two equal looks mean something."""
_SECOND = 1_000_000
_LONGEST_START = 30 * 60 * _SECOND
_LONGEST_CREATION = 60 * 60 * _SECOND
_ETCD_PREFIXES = ("", "/registry")
"""The API server's spans name a key without its prefix since 1.31 at the latest; k3s' is the
usual one."""

T = TypeVar("T")


def settled(look: Callable[[], T], whole: Callable[[T], bool], seconds: float) -> T:
    """The first answer that is ``whole`` and the same twice; after ``seconds`` the last one."""
    deadline = time.monotonic() + seconds
    before = look()
    while time.monotonic() < deadline:
        time.sleep(min(POLL_SECONDS, max(0.0, deadline - time.monotonic())))
        now = look()
        if whole(now) and now == before:
            return now
        before = now
    return before


def wait_for_start(jaeger: Jaeger, namespace: str, pod: str, seconds: float) -> PodStart | None:
    """A syncPod that is there has ended, so a start that failed in it is not waited for."""
    return settled(
        lambda: look_for_start(jaeger, namespace, pod),
        lambda start: start is not None and not start.holes,
        seconds,
    )


def look_for_start(
    jaeger: Jaeger, namespace: str, pod: str, uid: str | None = None
) -> PodStart | None:
    """The newest start of a pod of that name, or that of ``uid``, as far as Jaeger has it now."""
    key = f"{namespace}/{pod}"
    first = _first_sync(jaeger, {"k8s.pod": key} | ({"k8s.pod.uid": uid} if uid else {}))
    if first is None:
        return None
    uid = first.tags.get("k8s.pod.uid")
    found = jaeger.find(
        "kubelet",
        "syncPod",
        tags={"k8s.pod": key},
        start=first.start - _SECOND,
        end=first.start + _LONGEST_START,
        limit=500,
    )
    syncs = [
        trace for trace in found if any(span.tags.get("k8s.pod.uid") == uid for span in trace.spans)
    ]
    events = Events(syncs, _creation(jaeger, key, first), _binding(jaeger, namespace, pod, first))
    return build(namespace, pod, events)


def _first_sync(jaeger: Jaeger, tags: Mapping[str, str]) -> Span | None:
    """The first syncPod of the newest pod with ``tags``: others follow every minute or so."""
    created = jaeger.find(
        "kubelet", "syncPod", tags={**tags, "k8s.pod.update_type": "create"}, limit=20
    )
    found = _syncs(created) or _syncs(jaeger.find("kubelet", "syncPod", tags=tags))
    if not found:
        return None
    newest = max(found, key=lambda span: span.start)
    same = [s for s in found if s.tags.get("k8s.pod.uid") == newest.tags.get("k8s.pod.uid")]
    return min(same, key=lambda span: span.start)


def _syncs(traces: list[Trace]) -> list[Span]:
    return [span for trace in traces for span in trace.spans if span.operation == "syncPod"]


def _creation(jaeger: Jaeger, key: str, first: Span) -> Span | None:
    """The request that created the pod, by the key under which it was stored."""
    for prefix in _ETCD_PREFIXES:
        if found := _request(jaeger, "Create etcd3", {"key": f"{prefix}/pods/{key}"}, first):
            return found
    return None


def _binding(jaeger: Jaeger, namespace: str, pod: str, first: Span) -> Span | None:
    url = f"/api/v1/namespaces/{namespace}/pods/{pod}/binding"
    return _request(jaeger, "", {"url": url}, first)


def _request(jaeger: Jaeger, operation: str, tags: dict[str, str], first: Span) -> Span | None:
    """The whole request around the newest span with ``tags`` before ``first``.

    Not the longest of its trace: that may hold other requests, where the client traces itself.
    """
    found = jaeger.find(
        APISERVER, operation, tags=tags, start=first.start - _LONGEST_CREATION, end=first.start
    )
    matching = [
        (span.start, trace.outermost(span, APISERVER))
        for trace in found
        for span in trace.spans
        if span.service == APISERVER
        and span.start <= first.start
        and tags.items() <= span.tags.items()
    ]
    return max(matching, key=lambda pair: pair[0])[1] if matching else None
