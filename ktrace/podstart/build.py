"""Takes the spans of a pod's start apart into its steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from ktrace.components import APISERVER, CONTAINERD, KUBELET, SCHEDULER
from ktrace.jaeger import Span, Trace
from ktrace.podstart import critical_path, gaps
from ktrace.podstart.calls import (
    CREATE,
    PULL,
    SANDBOX,
    START,
    SYNC,
    Call,
    container_names,
    first_calls,
)
from ktrace.podstart.model import Events, PodStart, Step

_CALLS = {
    SANDBOX: "sandbox",
    PULL: "pull",
    CREATE: "create container",
    START: "start container",
}
_DETAILS = {
    "cni.setup_pod_network": "network set-up",
    "client.NewContainer": "snapshot and container record",
    "container.NewTask": "task created (shim, runc)",
    "client.task.Start": "task started",
    "task.Start": "task started",
    "pull.fetch": "download",
    "pkg.unpack.unpacker.unpack": "unpack",
}
"""containerd's spans that become details, as 1.7 to 2.3 name them; older ones have none."""
_NO_NAMES = (
    "no span names a container (containerd is not traced, or older than 2.0): a restart may count "
    "as part of the start"
)
_NO_CALLS = (
    "no call to the runtime is below the kubelet's syncPod: Kubernetes 1.28 and 1.29 trace those "
    "separately (kubernetes#121192)"
)


@dataclass(frozen=True)
class _Timeline:
    """Makes steps of times in microseconds; ``begin`` is the beginning of the start."""

    begin: int

    def step(
        self, name: str, component: str, start: int, end: int, *, unexplained: bool = False
    ) -> Step:
        duration_ms = max(0.0, (end - start) / 1000)
        start_ms = (start - self.begin) / 1000
        return Step(name, component, start_ms, duration_ms, unexplained=unexplained)

    def step_of(
        self, span: Span, name: str, component: str, *, depth: int = 0, error: str = ""
    ) -> Step:
        step = self.step(name, component, span.start, span.end)
        return replace(step, depth=depth, error=error)


def build(namespace: str, pod: str, events: Events) -> PodStart | None:
    """The start that ``events`` show; None while the kubelet has not begun with the pod."""
    syncs = sorted(filter(None, map(_sync_of, events.syncs)), key=lambda span: span.start)
    if not syncs:
        return None
    calls = first_calls(events.syncs)
    requests = [span for span in (events.creation, events.binding) if span]
    begin = min(span.start for span in (*requests, syncs[0]))
    started = [call.span for call in calls if call.method == START]
    last = started or [call.span for call in calls] or [syncs[0]]
    end = max(span.end for span in last)
    timeline = _Timeline(begin)
    steps = [
        *_request_steps(events, syncs[0], timeline),
        *_kubelet_steps(calls, syncs, timeline, (end - begin) / 1000),
    ]
    called_traces = {call.trace.id: call.trace for call in calls}
    trace_ids = [*(span.trace_id for span in (*requests, syncs[0])), *called_traces]
    return PodStart(
        namespace=namespace,
        pod=pod,
        started_at=datetime.fromtimestamp(begin / 1_000_000, tz=UTC),
        duration_ms=(end - begin) / 1000,
        steps=tuple(critical_path.mark(steps)),
        trace_ids=tuple(dict.fromkeys(trace_ids)),
        complete=not all(span.failed for span in started),
        spans_without_parent=sum(trace.spans_without_parent for trace in called_traces.values()),
        notes=tuple(_notes(calls, syncs, steps)),
    )


def _sync_of(trace: Trace) -> Span | None:
    return next((span for span in trace.spans if span.operation == SYNC), None)


def _request_steps(events: Events, first_sync: Span, timeline: _Timeline) -> list[Step]:
    """From the request that creates the pod until the kubelet begins with it."""
    steps: list[Step] = []
    creation, binding = events.creation, events.binding
    if creation:
        steps.append(timeline.step_of(creation, "create request", APISERVER))
    if creation and binding:
        steps.append(
            timeline.step("scheduling (queue and decision)", SCHEDULER, creation.end, binding.start)
        )
    if binding:
        steps.append(timeline.step_of(binding, "bind to a node", APISERVER))
    if requests := [span for span in (creation, binding) if span]:
        answered = min(max(span.end for span in requests), first_sync.start)
        steps.append(
            timeline.step("the kubelet learns of the pod", KUBELET, answered, first_sync.start)
        )
    return steps


def _kubelet_steps(
    calls: Sequence[Call], syncs: Sequence[Span], timeline: _Timeline, total_ms: float
) -> list[Step]:
    """From the first syncPod on: the calls with their details, and the gaps between the calls."""
    if not calls:
        return [timeline.step_of(syncs[0], "syncPod, without a call to the runtime", KUBELET)]
    names = container_names(calls)
    steps: list[Step] = []
    covered_until = syncs[0].start
    previous: Call | None = None
    for call in calls:
        begin = call.span.start
        if gaps.is_shown((begin - covered_until) / 1000, total_ms):
            name = gaps.name_of(
                previous,
                call,
                synced_again=any(covered_until < sync.start <= begin for sync in syncs),
                named=bool(names),
            )
            steps.append(timeline.step(name, KUBELET, covered_until, begin, unexplained=True))
        container = names.get(call.container_id, "")
        steps += _call_steps(call, container, timeline)
        covered_until = max(covered_until, call.span.end)
        previous = call
    return steps


def _call_steps(call: Call, container: str, timeline: _Timeline) -> list[Step]:
    """The call and what containerd's spans tell of it."""
    subject = {PULL: call.image, CREATE: container, START: container}.get(call.method, "")
    name = f"{_CALLS[call.method]} {subject}".strip()
    component = CONTAINERD if call.below else KUBELET
    details = [
        timeline.step_of(span, _DETAILS[span.operation], CONTAINERD, depth=1)
        for span in call.below
        if span.service == CONTAINERD and span.operation in _DETAILS
    ]
    return [timeline.step_of(call.span, name, component, error=call.error), *details]


def _notes(calls: Sequence[Call], syncs: Sequence[Span], steps: Sequence[Step]) -> list[str]:
    started = sum(call.method == START for call in calls)
    if started:
        return [_NO_NAMES] if started > 1 and not container_names(calls) else []
    errors = [sync.error for sync in syncs if sync.failed]
    if errors and not any(step.error for step in steps):
        return [f"the kubelet's last error: {errors[-1]}"]
    return [] if calls or errors else [_NO_CALLS]
