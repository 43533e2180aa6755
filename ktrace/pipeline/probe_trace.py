"""The traces of the probe's pod: what Jaeger has of them, what is missing, and why."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ktrace.components import APISERVER, CONTAINERD, KUBELET
from ktrace.jaeger import Jaeger, JaegerError, Trace
from ktrace.pipeline.probe_pod import CreatedPod
from ktrace.podstart.calls import whole_start

_POLL_SECONDS = 0.2
_CLOCKS = 2 * 3600 * 1_000_000
"""Microseconds by which a node's clock may differ: what is searched for is of this pod alone."""
_GROWTH_SECONDS = 0.9
"""How long after its last span a trace may still grow: the nodes' exporters send every 0.5 s, the
collector after 0.2 s more."""
_SETTLE_SECONDS = 8.0
"""How long the pod's trace may grow after it was found. Components send spans in batches, a child
often before its parent, every 5 s unless configured otherwise (OpenTelemetry SDK configuration,
OTEL_BSP_SCHEDULE_DELAY)."""


@dataclass(frozen=True)
class Found:
    """What Jaeger has of a pod's start at one moment."""

    start: Trace | None = None
    request: Trace | None = None
    """The request that created the pod."""
    others: frozenset[str] = frozenset()
    """Components with any span since the pod was created."""

    def components(self) -> list[str]:
        """Those with spans of this very pod; containerd's must be below the kubelet's."""
        traced = [APISERVER] if self.request else []
        return traced + [name for name in (KUBELET, CONTAINERD) if name in self._joined()]

    def _joined(self) -> set[str]:
        """Services with a span of the kubelet's, or below one."""
        if self.start is None:
            return set()
        kubelet = [span for span in self.start.spans if span.service == KUBELET]
        return {span.service for span in (*kubelet, *self.start.below(*kubelet))}

    @property
    def complete(self) -> bool:
        return self.start is None or not self.start.spans_without_parent

    @property
    def whole(self) -> bool:
        """Whether the pod's container has started, and nothing more of its start can come."""
        return self.start is not None and self.complete and whole_start(self.start)

    @property
    def ended_at(self) -> float:
        """When the last span of the pod's start ended, as Unix time in seconds."""
        return max(span.end for span in self.start.spans) / 1_000_000 if self.start else 0.0

    def counts(self) -> dict[str, int]:
        """Number of spans of the pod's start, by service."""
        return self.start.counts if self.start else {}


@dataclass(frozen=True)
class Demand:
    """``demanded``: components with spans of this very pod; ``expected``: with any new span."""

    demanded: tuple[str, ...]
    expected: tuple[str, ...] = ()

    @property
    def all(self) -> tuple[str, ...]:
        return (*self.demanded, *self.expected)

    def missing(self, found: Found) -> list[str]:
        silent = [name for name in self.demanded if name not in found.components()]
        return silent + [name for name in self.expected if name not in found.others]


def look(jaeger: Jaeger, pod: CreatedPod, expected: Sequence[str], previous: Found) -> Found:
    """The pod's start and the request that created it, as far as Jaeger has them now.

    Only the start grows: what else ``previous`` has is not read again.
    """
    start, end = pod.since - _CLOCKS, pod.since + _CLOCKS
    starts = jaeger.find(KUBELET, "syncPod", tags={"k8s.pod": pod.key}, start=start, end=end)
    request = previous.request
    if pod.audit_id and request is None:
        request = next(
            iter(jaeger.find(APISERVER, tags={"audit-id": pod.audit_id}, start=start, end=end)),
            None,
        )
    widest = max(starts, key=lambda trace: (len(trace.counts), len(trace.spans)), default=None)
    silent = [name for name in expected if name not in previous.others]
    heard = {name for name in silent if jaeger.find(name, start=pod.since, limit=1)}
    return Found(widest, request, previous.others | heard)


def wait_for_trace(
    jaeger: Jaeger,
    pod: CreatedPod,
    wanted: Demand,
    seconds: float,
    while_missing: Callable[[], object] = lambda: None,
) -> tuple[Found, float | None]:
    """What was found, and after how many seconds nothing was missing; None: something still is.

    When nothing is missing, the trace is read again until it is whole or, where that cannot be
    known, until no span lacks its parent and, some time after its last span, two consecutive
    results agree. ``while_missing`` may end the wait with an error. Raises JaegerError when Jaeger
    does not answer at the end.
    """
    deadline = pod.created_at + seconds
    growth = _GROWTH_SECONDS + jaeger.store.late
    complete_at: float | None = None
    found = Found()
    while True:
        try:
            previous, found = found, look(jaeger, pod, wanted.expected, found)
        except JaegerError:
            if complete_at is None and time.time() > deadline:
                raise
        now = time.time()
        if not wanted.missing(found):
            complete_at = complete_at or now
            quiet = now >= found.ended_at + growth
            agreed = quiet and found.complete and found.counts() == previous.counts()
            if found.whole or agreed or now - complete_at > _SETTLE_SECONDS:
                return found, round(complete_at - pod.created_at, 2)
            # A node's clock may be ahead of this machine's by more.
            time.sleep(min(growth, max(0.0, found.ended_at + growth - now)))
        elif now > deadline:
            return found, None
        else:
            while_missing()
        time.sleep(_POLL_SECONDS)


def services_since(jaeger: Jaeger, pod: CreatedPod) -> dict[str, bool]:
    """Every service that Jaeger knows, and whether it has sent a span since ``pod`` was created.

    Jaeger continues to list services of an earlier cluster.
    """
    return {
        service: bool(jaeger.find(service, start=pod.since, limit=1))
        for service in jaeger.services()
    }


def silence(
    found: Found, wanted: Demand, services: Mapping[str, bool], seconds: float, pod_state: str
) -> str:
    """Why the probe failed, by component, with what was seen instead.

    ``services`` are those of ``services_since``.
    """
    silent = wanted.missing(found)
    lines = [f"no trace of {' and '.join(silent)} within {seconds:g} s of the pod's creation:"]
    for name in silent:
        if name not in services:
            evidence = "has never sent a span to this Jaeger"
        elif not services[name]:
            evidence = "has sent spans to this Jaeger before, but none since"
        elif name == CONTAINERD and found.start:
            evidence = "exports spans, but none below the kubelet's of this pod's start"
        else:
            evidence = "exports spans, but none of this pod's start arrived"
        lines.append(f"  - {name} {evidence}")
    lines.append(f"the pod: {pod_state}; services in Jaeger: {', '.join(services) or 'none'}")
    lines.append("`docker logs` of the collector shows whether spans arrive and leave")
    return "\n".join(lines)
