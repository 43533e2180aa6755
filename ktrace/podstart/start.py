"""A pod's start as a list of steps: pure functions from spans to what a person asks about.

A start begins with the request that creates the pod and ends when the last of its containers has
been started for the first time. Times are in milliseconds since its beginning.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from ktrace.jaeger import Span, Trace

SCHEDULER, KUBELET, CONTAINERD, APISERVER = "scheduler", "kubelet", "containerd", "apiserver"
_CRI = "runtime.v1."
_SANDBOX = "RunPodSandbox"
_PULL = "PullImage"
_CREATE = "CreateContainer"
_START = "StartContainer"
_STOP = "StopContainer"
_CALLS = (_SANDBOX, _PULL, _CREATE, _START)
_DETAILS = {
    "cni.setup_pod_network": "network set-up",
    "client.NewContainer": "snapshot and container record",
    "container.NewTask": "task created (shim, runc)",
    "client.task.Start": "task started",
    "task.Start": "task started",
    "pull.fetch": "download",
    "pkg.unpack.unpacker.unpack": "unpack",
}
"""containerd's spans worth a line; names as of 1.7 to 2.3, older ones have none below the call."""
_IMAGE_TAGS = ("container.image.ref", "image.ref", "image.name", "image")
_GAP_LEAST_MS = 5.0
_GAP_LEAST_SHARE = 0.01
_GAP_ALWAYS_MS = 100.0
_ROUNDING_MS = 0.0005
"""Half of a microsecond, which is what Jaeger's times are whole numbers of."""
_BACK_OFF = "CrashLoopBackOff"
_NAMELESS = (
    "no span names a container (containerd is not traced, or older than 2.0): a restart may count "
    "as part of the start"
)
_APART = (
    "no call to the runtime is below the kubelet's syncPod: Kubernetes 1.28 and 1.29 trace those "
    "apart (kubernetes#121192)"
)


@dataclass(frozen=True)
class Step:
    """``unexplained``: no span covers it; ``depth`` 1 is a detail of the step before."""

    name: str
    component: str
    start_ms: float
    duration_ms: float
    critical: bool = False
    unexplained: bool = False
    depth: int = 0
    error: str = ""
    trace_id: str = ""

    @property
    def end_ms(self) -> float:
        return self.start_ms + self.duration_ms


@dataclass(frozen=True)
class PodStart:
    namespace: str
    pod: str
    started_at: datetime
    duration_ms: float
    steps: tuple[Step, ...]
    trace_ids: tuple[str, ...]
    whole: bool
    """Whether a container was seen to start: else this is as far as the start came."""
    holes: int = 0
    """Number of spans in its traces whose parent is not there."""
    notes: tuple[str, ...] = ()
    """What keeps the steps from telling it all."""

    @property
    def unexplained_ms(self) -> float:
        """Time within the kubelet's part that no step accounts for, small gaps included."""
        top = [step for step in self.steps if step.depth == 0 and not step.unexplained]
        return max(0.0, self.duration_ms - _covered(top))

    @property
    def slowest(self) -> Step | None:
        return max(
            (step for step in self.steps if step.depth == 0),
            key=lambda step: step.duration_ms,
            default=None,
        )

    def document(self, jaeger_url: str) -> dict[str, Any]:
        """The shape that ``show --json`` promises."""
        return {
            "namespace": self.namespace,
            "pod": self.pod,
            "startedAt": self.started_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "durationMs": round(self.duration_ms, 1),
            "unexplainedMs": round(self.unexplained_ms, 1),
            "complete": self.whole,
            "spansWithoutParent": self.holes,
            "notes": list(self.notes),
            "steps": [
                {
                    "name": step.name,
                    "component": step.component,
                    "startMs": round(step.start_ms, 1),
                    "durationMs": round(step.duration_ms, 1),
                    "critical": step.critical,
                    "unexplained": step.unexplained,
                    "depth": step.depth,
                    "error": step.error or None,
                }
                for step in self.steps
            ],
            "traceUrls": [f"{jaeger_url}/trace/{each}" for each in self.trace_ids],
        }


@dataclass(frozen=True)
class Events:
    """What Jaeger has of a pod's start; requests are the API server's spans, if they are there."""

    syncs: Sequence[Trace]
    creation: Span | None = None
    binding: Span | None = None


def build(namespace: str, pod: str, events: Events) -> PodStart | None:
    """None when no work of the kubelet's on this pod is there yet."""
    calls = _first_calls(events.syncs)
    roots = [_root(trace) for trace in events.syncs]
    syncs = sorted((root for root in roots if root), key=lambda span: span.start)
    if not syncs:
        return None
    first = syncs[0]
    known = [span for span in (events.creation, events.binding) if span]
    begin = min(span.start for span in (*known, first))
    started = [span for _, span in calls if _call(span) == _START]
    last = started or [span for _, span in calls] or [first]
    end = max(span.end for span in last)

    steps: list[Step] = []

    def at(micros: int) -> float:
        return (micros - begin) / 1000

    def add(name: str, component: str, start: int, stop: int, **more: Any) -> None:
        steps.append(Step(name, component, at(start), max(0.0, (stop - start) / 1000), **more))

    if events.creation:
        span = events.creation
        add("create request", APISERVER, span.start, span.end, trace_id=span.trace_id)
    if events.binding:
        span = events.binding
        if events.creation:
            add("scheduling (queue and decision)", SCHEDULER, events.creation.end, span.start)
        add("bind to a node", APISERVER, span.start, span.end, trace_id=span.trace_id)
    if known:
        seen = max(span.end for span in known)
        add("the kubelet learns of the pod", KUBELET, min(seen, first.start), first.start)
    steps += _kubelet_steps(calls, syncs, begin, end)
    traces = dict.fromkeys([span.trace_id for span in (*known, first)])
    traces |= dict.fromkeys(trace.id for trace, _ in calls)
    return PodStart(
        namespace=namespace,
        pod=pod,
        started_at=datetime.fromtimestamp(begin / 1_000_000, tz=UTC),
        duration_ms=(end - begin) / 1000,
        steps=tuple(_mark(steps)),
        notes=tuple(_notes(calls, syncs, steps)),
        trace_ids=tuple(traces),
        whole=not all(span.failed for span in started),
        holes=sum(trace.holes for trace in {trace.id: trace for trace, _ in calls}.values()),
    )


def has_calls(trace: Trace) -> bool:
    """Whether the kubelet did more in it than look."""
    return any(_call(span) in _CALLS for span in trace.spans)


def _call(span: Span) -> str:
    """``StartContainer`` for the kubelet's own span of that call, else empty."""
    if span.service != KUBELET or not span.operation.startswith(_CRI):
        return ""
    return span.operation.rpartition("/")[2]


def _root(trace: Trace) -> Span | None:
    return next((span for span in trace.spans if span.operation == "syncPod"), None)


def _first_calls(syncs: Sequence[Trace]) -> list[tuple[Trace, Span]]:
    """The calls up to each container's first start, in order; a restart is no part of a start."""
    found = sorted(
        ((trace, span) for trace in syncs for span in trace.spans if _call(span) in _CALLS),
        key=lambda pair: pair[1].start,
    )
    if names := _names(found):
        again = _restarted(found, names)
        kept = [pair for pair in found if _tag(*pair, "container.id") not in again]
    else:
        until = _first_end(syncs)
        kept = [(trace, span) for trace, span in found if span.start < until]
    starts = [index for index, (_, span) in enumerate(kept) if _call(span) == _START]
    return kept[: starts[-1] + 1] if starts else kept


def _names(calls: Iterable[tuple[Trace, Span]]) -> dict[str, str]:
    """Containers' names by their id; containerd's spans tell them since 2.0.

    containerd's own name of a container is NAME_POD_NAMESPACE_UID_ATTEMPT.
    """
    created = [pair for pair in calls if _call(pair[1]) == _CREATE]
    names = {
        _tag(*pair, "container.id"): _tag(*pair, "container.name").partition("_")[0]
        for pair in created
    }
    return {container: name for container, name in names.items() if container}


def _restarted(calls: Iterable[tuple[Trace, Span]], names: dict[str, str]) -> set[str]:
    """Ids of the containers that took the place of one that had been started."""
    started: set[str] = set()
    again: set[str] = set()
    for trace, span in calls:
        container = _tag(trace, span, "container.id")
        name = names.get(container, "")
        if _call(span) == _CREATE and name in started:
            again.add(container)
        if _call(span) == _START and name and not span.failed:
            started.add(name)
    return again


def _first_end(syncs: Iterable[Trace]) -> float:
    """When the kubelet first knew a container as crashed, or stopped one."""
    ends = (
        span.start
        for trace in syncs
        for span in trace.spans
        if _call(span) == _STOP or (span.operation == "syncPod" and _BACK_OFF in _error(span))
    )
    return min(ends, default=float("inf"))


def _error(span: Span) -> str:
    """What a span says of its failure, else empty."""
    return str(span.tags.get("otel.status_description", "failed")) if span.failed else ""


def _notes(
    calls: Sequence[tuple[Trace, Span]], syncs: Sequence[Span], steps: Sequence[Step]
) -> list[str]:
    started = sum(_call(span) == _START for _, span in calls)
    if started:
        return [_NAMELESS] if started > 1 and not _names(calls) else []
    errors = [_error(sync) for sync in syncs if sync.failed]
    if errors and not any(step.error for step in steps):
        return [f"the kubelet's last error: {errors[-1]}"]
    return [] if calls or errors else [_APART]


def _tag(trace: Trace, span: Span, *keys: str) -> str:
    """The first of ``keys`` on the span or below it: containerd tells what a call was about."""
    for each in (span, *trace.below(span)):
        for key in keys:
            if key in each.tags:
                return str(each.tags[key])
    return ""


def _kubelet_steps(
    calls: Sequence[tuple[Trace, Span]], syncs: Sequence[Span], begin: int, end: int
) -> list[Step]:
    names = _names(calls)
    if not calls:
        name, first = "syncPod, without a call to the runtime", syncs[0]
        at = (first.start - begin) / 1000
        return [Step(name, KUBELET, at, first.duration / 1000, trace_id=first.trace_id)]
    steps: list[Step] = []
    free_from = syncs[0].start
    total = (end - begin) / 1000
    before: Span | None = None
    for trace, span in calls:
        gap = (span.start - free_from) / 1000
        if gap >= min(_GAP_ALWAYS_MS, max(_GAP_LEAST_MS, total * _GAP_LEAST_SHARE)):
            again = [sync for sync in syncs if free_from < sync.start <= span.start]
            name = _gap_name(before, _call(span), tried_again=bool(again), nameless=not names)
            at = (free_from - begin) / 1000
            steps.append(Step(name, KUBELET, at, gap, unexplained=True))
        steps += _call_steps(trace, span, names, begin)
        free_from = max(free_from, span.end)
        before = span
    return steps


def _gap_name(before: Span | None, after: str, *, tried_again: bool, nameless: bool) -> str:
    if before is None:
        return "before the sandbox: volumes, cgroups, secrets"
    last = _call(before)
    if tried_again and last == _START and not before.failed:
        what = "a container runs or is restarted" if nameless else "an init container runs"
        return f"{what}, then the kubelet's next sync"
    if tried_again:
        return "the kubelet waits before it goes on (back-off, next sync)"
    if last == _SANDBOX:
        return "between the sandbox and the first container"
    if after == _START:
        return "between a container's creation and its start"
    return f"between {last} and {after}"


def _call_steps(trace: Trace, span: Span, names: dict[str, str], begin: int) -> list[Step]:
    container = names.get(_tag(trace, span, "container.id"), "")
    image = _tag(trace, span, *_IMAGE_TAGS) if _call(span) == _PULL else ""
    name = {
        _SANDBOX: "sandbox",
        _PULL: f"pull {image}".strip(),
        _CREATE: f"create container {container}".strip(),
        _START: f"start container {container}".strip(),
    }[_call(span)]
    below = trace.below(span)
    failed = next((each for each in (span, *below) if each.failed), None)
    error = _error(failed) if failed else ""
    steps = [
        Step(
            name,
            KUBELET if not below else CONTAINERD,
            (span.start - begin) / 1000,
            span.duration / 1000,
            error=error,
            trace_id=trace.id,
        )
    ]
    for each in below:
        if each.service == CONTAINERD and each.operation in _DETAILS:
            steps.append(
                Step(
                    _DETAILS[each.operation],
                    CONTAINERD,
                    (each.start - begin) / 1000,
                    each.duration / 1000,
                    depth=1,
                    trace_id=trace.id,
                )
            )
    return steps


def _mark(steps: Sequence[Step]) -> list[Step]:
    """Marks what the start waited for: from the end back, always the step that ended last."""
    marked: set[int] = set()
    top = [index for index, step in enumerate(steps) if step.depth == 0]
    now = max((steps[index].end_ms for index in top), default=0.0)
    while True:
        earlier = [
            index
            for index in top
            if index not in marked
            and steps[index].duration_ms > 0
            and steps[index].start_ms < now - _ROUNDING_MS
        ]
        if not earlier:
            break
        latest = max(
            earlier, key=lambda index: (min(steps[index].end_ms, now), steps[index].duration_ms)
        )
        marked.add(latest)
        now = steps[latest].start_ms
    return [replace(step, critical=index in marked) for index, step in enumerate(steps)]


def _covered(steps: Sequence[Step]) -> float:
    """Length in milliseconds of the union of ``steps``."""
    total, reached = 0.0, float("-inf")
    for step in sorted(steps, key=lambda step: step.start_ms):
        total += max(0.0, step.end_ms - max(reached, step.start_ms))
        reached = max(reached, step.end_ms)
    return total
