"""Takes a pod's start apart into its steps, from spans, the pod object and its Events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property

from ktrace.components import APISERVER, CONTAINERD, KUBELET, SCHEDULER
from ktrace.jaeger import Span, Trace
from ktrace.podstart import critical_path, gaps, progress, readiness
from ktrace.podstart.calls import (
    CREATE,
    EXEC,
    PULL,
    SANDBOX,
    START,
    SYNC,
    Call,
    all_calls,
    container_names,
    first_calls,
    missing_by_error,
    up_to_last_start,
)
from ktrace.podstart.model import ContainerStart, PodStart, Ready, Request, Spans, Step, Waiting
from ktrace.podstart.pod import APP, SECOND, Pod, PodEvent

_CALLS = {
    SANDBOX: "sandbox",
    PULL: "pull",
    CREATE: "create container",
    START: "start container",
    EXEC: "postStart of",
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
_WEBHOOKS = ("Call mutating webhook", "Call validating webhook")
_NODE_TAGS = ("k8s.node.name", "host.name")
_NO_NAMES = (
    "no span names a container (containerd is not traced, or older than 2.0): a restart may count "
    "as part of the start"
)
_NO_CALLS = (
    "no call to the runtime is below the kubelet's syncPod: Kubernetes 1.28 and 1.29 trace those "
    "separately (kubernetes#121192)"
)
_LOST = "Jaeger no longer has the beginning of the start"
_TO_THE_SECOND = "its times are those of the pod object, to the second"
_LATE = 2 * SECOND
"""After the second in which a pod was created, a span is not of its creation."""


def build(
    namespace: str,
    name: str,
    spans: Spans,
    pod: Pod | None = None,
    events: Sequence[PodEvent] = (),
    *,
    missing: Sequence[str] = (),
    now: datetime | None = None,
) -> PodStart | None:
    """The start that the sources show; None where neither the kubelet's spans nor a pod do.

    ``missing`` names the sources that could not be read. ``now`` is when they were read.
    """
    seen = _Seen(spans, pod, events)
    if not seen.syncs and not seen.calls and pod is None:
        return None
    return _Start(namespace, name, seen, tuple(missing), now).built()


def node_of(span: Span) -> str:
    """The node that sent the span; empty where its resource does not tell."""
    return next((str(span.process[tag]) for tag in _NODE_TAGS if span.process.get(tag)), "")


@dataclass(frozen=True)
class _Seen:
    """What the sources say, before any of it is put in order."""

    spans: Spans
    pod: Pod | None
    events: Sequence[PodEvent]

    @cached_property
    def syncs(self) -> list[Span]:
        """The syncPods that have ended, ordered by start."""
        found = filter(None, map(_sync_of, self.spans.syncs))
        return sorted(found, key=lambda span: span.start)

    @cached_property
    def calls(self) -> list[Call]:
        """Of the start, as far as that is known; what follows the last start too."""
        return first_calls(self.spans.syncs, self.pod, self._first_ephemeral_request)

    @property
    def _first_ephemeral_request(self) -> float:
        """From which on, without the pod object, a container may be an ephemeral one."""
        if self.pod:
            return float("inf")
        return min((span.start for span in self.spans.ephemeral_requests), default=float("inf"))

    @cached_property
    def names(self) -> dict[str, str]:
        return container_names(self.calls)

    @cached_property
    def starts(self) -> list[Call]:
        """The calls that started a container."""
        return [call for call in self.calls if call.method == START and not call.failed]

    @cached_property
    def containers(self) -> tuple[ContainerStart, ...]:
        """Those that must start, where the pod object tells, else those that spans show."""
        names = [self.names.get(call.container_id, "") for call in self.starts]
        if self.pod and self.pod.containers:
            seen = set(names)
            return tuple(
                ContainerStart(known.name, known.kind, known.started or known.name in seen)
                for known in self.pod.containers
            )
        last_start = max((call.span.start for call in self.starts), default=0)
        syncs = [sync for sync in self.syncs if sync.start < self._first_ephemeral_request]
        missing = missing_by_error(syncs, list(filter(None, names)), last_start)
        return tuple(
            [ContainerStart(name, APP, started=True) for name in names]
            + [ContainerStart(name, APP, started=False) for name in missing]
        )

    @property
    def wanted_known(self) -> bool:
        return bool(self.pod and self.pod.containers)

    @cached_property
    def incomplete(self) -> bool:
        """Whether a container is known not to have started, or none is known to have."""
        started = [container.started for container in self.containers]
        return not all(started) or not any(started)

    @cached_property
    def steps_of(self) -> list[Call]:
        """The calls that become steps: while a start goes on, all of them."""
        if self.incomplete:
            return self.calls
        return up_to_last_start(self.calls)

    @cached_property
    def after(self) -> list[Call]:
        """The postStart handler of the container that was started last."""
        calls = [] if self.incomplete else self.steps_of
        if not calls or calls[-1].method != START:
            return []
        last = calls[-1]
        return [
            call
            for call in all_calls([last.trace], self.pod)
            if call.method == EXEC and call.span.start >= last.span.start
        ]

    @cached_property
    def requests(self) -> list[Request]:
        """Those that came before the kubelet; none for a static pod, whose mirror came later."""
        if self.pod and self.pod.mirror:
            return []
        return [request for request in (self.spans.creation, self.spans.binding) if request]

    @cached_property
    def node(self) -> str:
        own = [*self.syncs, *(call.span for call in self.calls)]
        of_spans = next(filter(None, map(node_of, own)), "")
        return of_spans or (self.pod.node if self.pod else "")

    @cached_property
    def uid(self) -> str:
        of_spans = (str(span.tags.get("k8s.pod.uid", "")) for span in self.syncs)
        of_object = self.pod.uids if self.pod else ()
        return next(filter(None, (*of_spans, *of_object)), "")

    @cached_property
    def lacks_spans(self) -> bool:
        """Whether more containers have started than spans show."""
        return sum(container.started for container in self.containers) > len(self.starts)


@dataclass(frozen=True)
class _Clock:
    """Makes steps of times in microseconds, within the start from ``begin`` to ``end``.

    ``offset`` is added to the times of the node's clock, if that is known to be behind the API
    server's, whose times ``begin`` and ``end`` are.
    """

    begin: int
    end: int
    offset: int = 0
    node: str = ""

    def at(self, time: int, component: str) -> float:
        """Milliseconds since the beginning."""
        if component in (KUBELET, CONTAINERD):
            time += self.offset
        return (min(max(time, self.begin), self.end) - self.begin) / 1000

    def step(
        self, name: str, component: str, start: int, end: int, *, unexplained: bool = False
    ) -> Step:
        start_ms = self.at(start, component)
        duration_ms = max(0.0, self.at(end, component) - start_ms)
        node = self.node if component in (KUBELET, CONTAINERD) else ""
        return Step(name, component, start_ms, duration_ms, unexplained=unexplained, node=node)

    def step_of(
        self, span: Span, name: str, component: str, *, depth: int = 0, error: str = ""
    ) -> Step:
        step = self.step(name, component, span.start, span.end)
        return replace(step, depth=depth, error=error)


@dataclass(frozen=True)
class _Start:
    """Puts in order what was seen."""

    namespace: str
    name: str
    seen: _Seen
    missing: tuple[str, ...]
    now: datetime | None

    def built(self) -> PodStart:
        seen = self.seen
        clock = self._clock
        length_ms = (clock.end - clock.begin) / 1000
        steps = critical_path.mark([*self._request_steps(), *self._node_steps()], length_ms)
        complete = seen.wanted_known and not seen.incomplete
        called = {call.trace.id: call.trace for call in seen.steps_of}
        sources = [request.span for request in seen.requests] + seen.syncs[:1]
        trace_ids = [*(span.trace_id for span in sources), *called]
        return PodStart(
            namespace=self.namespace,
            pod=self.name,
            started_at=progress.at(clock.begin) or datetime.fromtimestamp(0, tz=UTC),
            duration_ms=length_ms,
            steps=tuple(steps),
            trace_ids=tuple(dict.fromkeys(trace_ids)),
            complete=complete,
            spans_without_parent=sum(trace.spans_without_parent for trace in called.values()),
            notes=tuple(self._notes(steps)),
            node=seen.node,
            uid=seen.uid,
            containers=seen.containers,
            wanted_known=seen.wanted_known,
            waiting=self._waiting(),
            ready=self._ready() if complete else Ready(),
            missing=(*self.missing, *self._missing_spans()),
            lacks_spans=seen.lacks_spans,
            looked_at=self.now,
            beginning_lost=seen.spans.beginning_lost or self._untraced_since is not None,
        )

    # --- times ------------------------------------------------------------------------------------

    @cached_property
    def _clock(self) -> _Clock:
        seen, offset = self.seen, self._offset
        own = [*(span.start for span in self._syncs), *(call.span.start for call in seen.steps_of)]
        begins = [request.span.start for request in seen.requests]
        begins += [time + offset for time in own]
        if self._untraced_since is not None:
            begins.append(self._untraced_since)
        elif not begins and seen.pod and seen.pod.created is not None:
            begins.append(seen.pod.created)
        begin = min(begins, default=0)
        ends = [self._node_end + offset] if self._node_end else []
        if not ends:
            ends = [request.span.end for request in seen.requests]
            ends += [event.last for event in seen.events]
        return _Clock(begin, max([begin, *ends]), offset, seen.node)

    @cached_property
    def _untraced_since(self) -> int | None:
        """When the pod was created, to the second, if there is no span of that time."""
        seen, pod = self.seen, self.seen.pod
        if pod is None or pod.created is None or pod.mirror or seen.spans.creation:
            return None
        if seen.spans.beginning_lost:
            return pod.created
        begins = [request.span.start for request in seen.requests]
        begins += [] if self._first_on_node is None else [self._first_on_node + self._offset]
        if not begins:
            return pod.created if seen.lacks_spans else None
        return pod.created if min(begins) - pod.created > _LATE else None

    @cached_property
    def _offset(self) -> int:
        """By how much the node's clock has to be moved for the kubelet to follow the requests."""
        requests = [request.span for request in self.seen.requests]
        first = self._first_on_node
        if not requests or first is None or first >= max(span.start for span in requests):
            return 0
        return max(span.end for span in requests) - first

    @cached_property
    def _syncs(self) -> list[Span]:
        """The ended syncs of the start: where its beginning is lost, those without calls say
        nothing of it."""
        seen = self.seen
        if not seen.spans.beginning_lost:
            return seen.syncs
        called = {call.trace.id for call in seen.steps_of}
        return [sync for sync in seen.syncs if sync.trace_id in called]

    @property
    def _first_on_node(self) -> int | None:
        own = [*self._syncs[:1], *(call.span for call in self.seen.steps_of[:1])]
        return min((span.start for span in own), default=None)

    @cached_property
    def _node_end(self) -> int:
        """The end of the start on the node's clock: the last start, or how far it has got.

        0 where nothing of the node is known.
        """
        seen = self.seen
        ends: list[int] = []
        if seen.incomplete:
            ends = [call.span.end for call in seen.steps_of]
            ends += [sync.end for sync in self._syncs if sync.failed]
        else:
            ends = [call.span.end for call in seen.starts]
            if seen.lacks_spans and seen.pod:
                ends += [known.started_at for known in seen.pod.containers if known.started_at]
        return max(ends or [sync.end for sync in self._syncs[:1]], default=0)

    # --- steps ------------------------------------------------------------------------------------

    def _request_steps(self) -> list[Step]:
        """From the request that creates the pod until the kubelet begins with it."""
        clock, spans = self._clock, self.seen.spans
        if not self.seen.requests:
            return self._steps_of_untraced()
        creation, binding = spans.creation, spans.binding
        steps: list[Step] = []
        if binding and self._untraced_since is not None:
            begin, end = clock.begin, binding.span.start
            steps.append(clock.step(self._scheduling(begin, end), SCHEDULER, begin, end))
        if creation:
            steps += _request(creation, "create request", clock)
        if creation and binding:
            begin, end = creation.span.end, binding.span.start
            steps.append(clock.step(self._scheduling(begin, end), SCHEDULER, begin, end))
        if binding:
            steps += _request(binding, "bind to a node", clock)
        if (first := self._first_on_node) is not None:
            first += clock.offset
            answered = min(max(request.span.end for request in self.seen.requests), first)
            learns = "the kubelet learns of the pod"
            lost = spans.beginning_lost and first - answered > _LATE
            if lost:
                learns = gaps.NOT_TRACED
            elif not self._syncs:
                learns = "the kubelet's sync has not ended: its beginning is not traced yet"
            begin, end = answered - clock.offset, first - clock.offset
            steps.append(clock.step(learns, KUBELET, begin, end, unexplained=lost))
        elif self.seen.incomplete and creation and not binding:
            begin = creation.span.end
            steps.append(
                clock.step(self._scheduling(begin, clock.end), SCHEDULER, begin, clock.end)
            )
        return steps

    def _steps_of_untraced(self) -> list[Step]:
        """From the pod's creation to its oldest span, if no span tells of that."""
        clock, first = self._clock, self._first_on_node
        if self._untraced_since is None or first is None:
            return []
        begin, end = clock.begin, first + clock.offset
        refused = self._refusals(begin, end)
        scheduled = min(refused[-1].last, end) if refused else begin
        steps = [
            clock.step(self._scheduling(begin, scheduled), SCHEDULER, begin, scheduled)
            for _ in refused[-1:]
        ]
        known = gaps.Context(self.seen.syncs, self.seen.pod, self.seen.events)
        return steps + self._gap(None, None, scheduled - clock.offset, first, known)

    def _refusals(self, begin: int, end: int) -> list[PodEvent]:
        """The scheduler's Events that say why it found no node for the pod."""
        return [
            event
            for event in self.seen.events
            if event.reason == "FailedScheduling"
            and event.first < end
            and event.last + SECOND > begin
        ]

    def _scheduling(self, begin: int, end: int) -> str:
        if refused := self._refusals(begin, end):
            return f"unschedulable: {refused[-1].message}"
        return "scheduling (queue and decision)"

    def _node_steps(self) -> list[Step]:
        """From the first syncPod on: the calls with their details, and the gaps between them."""
        seen, clock = self.seen, self._clock
        calls = seen.steps_of
        known = gaps.Context(self._syncs, seen.pod, seen.events, seen.spans.other_pulls, seen.names)
        if not calls and not self._syncs:
            return self._untraced(known)
        last = clock.end - clock.offset
        if not calls and not any(sync.failed for sync in self._syncs):
            name = "syncPod, without a call to the runtime"
            sync = self._syncs[0]
            return [
                clock.step_of(sync, name, KUBELET),
                *self._gap(None, None, sync.end, last, known),
            ]
        steps: list[Step] = []
        first = self._first_on_node
        covered_until = last if first is None else first
        previous: Call | None = None
        for call in calls:
            steps += self._gap(previous, call, covered_until, call.span.start, known)
            steps += self._call_steps(call, previous)
            covered_until = max(covered_until, call.span.end)
            previous = call
        return steps + self._gap(previous, None, covered_until, last, known)

    def _untraced(self, known: gaps.Context) -> list[Step]:
        """Where Jaeger has nothing of the kubelet: the whole time, if the pod object tells it."""
        clock = self._clock
        begin = max((request.span.end for request in self.seen.requests), default=clock.begin)
        return self._gap(None, None, begin, clock.end, known) if self.seen.node else []

    def _gap(
        self,
        previous: Call | None,
        following: Call | None,
        begin: int,
        end: int,
        known: gaps.Context,
    ) -> list[Step]:
        total_ms = (self._clock.end - self._clock.begin) / 1000
        if not gaps.is_shown((end - begin) / 1000, total_ms):
            return []
        return [
            self._clock.step(part.name, KUBELET, part.start, part.end, unexplained=not part.known)
            for part in gaps.parts(previous, following, begin, end, known)
        ]

    def _call_steps(self, call: Call, previous: Call | None) -> list[Step]:
        """The call and what containerd's spans tell of it."""
        clock = self._clock
        container = self.seen.names.get(call.container_id, "")
        if call.method == EXEC and previous and previous.trace is call.trace:
            container = container or self.seen.names.get(previous.container_id, "")
        subject = call.image if call.method == PULL else container
        name = f"{_CALLS[call.method]} {subject}".strip()
        if call.method == SANDBOX:
            name = _CALLS[SANDBOX]
        if call.method == EXEC and not subject:
            name = "a container's postStart"
        component = CONTAINERD if call.below else KUBELET
        details = [
            clock.step_of(_within(span, call.span), _DETAILS[span.operation], CONTAINERD, depth=1)
            for span in call.below
            if span.service == CONTAINERD and span.operation in _DETAILS
        ]
        return [clock.step_of(call.span, name, component, error=call.error), *details]

    # --- what lies around it ----------------------------------------------------------------------

    def _ready(self) -> Ready:
        seen, clock = self.seen, self._clock
        if seen.pod is None:
            return Ready()
        found = readiness.moment(
            seen.pod, seen.spans.status_patches, clock.end - clock.offset, clock.offset
        )
        handlers_end = max((call.span.end + clock.offset for call in seen.after), default=clock.end)
        if found.at is None:
            later = replace(clock, end=max(clock.end, handlers_end))
            return Ready(note=found.note, steps=tuple(self._after_steps(later)))
        at = found.at + (clock.offset if found.source == readiness.CONDITION else 0)
        until = replace(clock, end=max(at, clock.end))
        steps = self._after_steps(until)
        covered = min(max(clock.end, handlers_end), until.end)
        if until.end > covered:
            begin, end = covered - clock.offset, until.end - clock.offset
            steps.append(until.step(readiness.waits(seen.pod), KUBELET, begin, end))
        return Ready((until.end - clock.begin) / 1000, found.source, tuple(steps), found.note)

    def _after_steps(self, clock: _Clock) -> list[Step]:
        """The postStart handler of the last container."""
        last = self.seen.steps_of[-1:]
        container = self.seen.names.get(last[0].container_id, "") if last else ""
        name = f"postStart of {container}" if container else "a container's postStart"
        steps = []
        for call in self.seen.after:
            begin = max(call.span.start, self._clock.end - clock.offset)
            component = CONTAINERD if call.below else KUBELET
            step = clock.step(name, component, begin, max(begin, call.span.end))
            steps.append(replace(step, error=call.error))
        return steps

    def _waiting(self) -> tuple[Waiting, ...]:
        seen = self.seen
        if seen.pod:
            started = [container.name for container in seen.containers if container.started]
            return progress.of_pod(seen.pod, seen.events, started, self._open_handler())
        return progress.of_errors(seen.syncs) if seen.incomplete else ()

    def _open_handler(self) -> Waiting | None:
        """The postStart handler of the last started container, until its end is known."""
        last = self.seen.calls[-1:]
        if not last or last[0].method != START or last[0].failed or not self.seen.pod:
            return None
        container = self.seen.pod.container(self.seen.names.get(last[0].container_id, ""))
        if container is None or not container.post_start or container.started:
            return None
        since = progress.at(last[0].span.end + self._clock.offset)
        return Waiting(f"postStart of {container.name} has not been seen to end", since)

    def _missing_spans(self) -> list[str]:
        """The spans that a start has and Jaeger has not."""
        seen = self.seen
        missing = []
        if not seen.syncs and not seen.calls:
            missing.append("spans of the kubelet: Jaeger has none of this pod")
        if not seen.spans.creation and not (seen.pod and seen.pod.mirror):
            missing.append("the span of the request that created the pod")
        return missing

    def _notes(self, steps: Sequence[Step]) -> list[str]:
        seen, pod = self.seen, self.seen.pod
        notes = list(seen.spans.limits)
        if seen.spans.beginning_lost:
            notes.append(f"{_LOST}{f': {_TO_THE_SECOND}' if pod and pod.created else ''}")
        elif seen.lacks_spans and not seen.syncs:
            notes.append(_TO_THE_SECOND)
        elif self._untraced_since is not None:
            notes.append(f"{_LOST}, or never had it: {_TO_THE_SECOND}")
        if self._offset:
            behind = max(r.span.start for r in seen.requests) - (self._first_on_node or 0)
            notes.append(
                f"the node's clock is at least {behind / 1000:.0f} ms behind the API server's: the "
                "node's steps are placed after the requests that caused them"
            )
        if seen.spans.ephemeral_requests and pod is None:
            notes.append(
                "an ephemeral container was added (kubectl debug): what was created after that is "
                "left out"
            )
        if len(seen.starts) > 1 and not seen.names:
            notes.append(_NO_NAMES)
        errors = [sync.error for sync in seen.syncs if sync.failed]
        if not seen.starts and errors and not any(step.error for step in steps):
            notes.append(f"the kubelet's last error: {errors[-1]}")
        if self._syncs and not seen.calls and not errors:
            notes.append(_NO_CALLS)
        if pod:
            notes += [
                f"{found.name} has been restarted since: "
                f"{found.restarts} {'time' if found.restarts == 1 else 'times'}"
                for found in pod.containers
                if found.restarts and found.kind == APP
            ]
        return notes


def _sync_of(trace: Trace) -> Span | None:
    return next((span for span in trace.spans if span.operation == SYNC), None)


def _request(request: Request, name: str, clock: _Clock) -> list[Step]:
    """The request and the webhooks that it called; the pod was stored, whatever they said."""
    steps = [clock.step_of(request.span, name, APISERVER)]
    below = Trace(request.span.trace_id, tuple(request.below))
    for span in request.below:
        if span.operation not in _WEBHOOKS:
            continue
        webhook = str(span.tags.get("webhook") or span.tags.get("configuration") or "")
        within = (span, *below.below(span))
        error = next((other.error for other in within if other.failed), "")
        title = f"webhook {webhook}".strip() + (", failed open" if error else "")
        steps.append(
            clock.step_of(_within(span, request.span), title, APISERVER, depth=1, error=error)
        )
    return steps


def _within(span: Span, outer: Span) -> Span:
    """``span`` cut to the time of ``outer``: a detail may outlive the call that began it."""
    start = min(max(span.start, outer.start), outer.end)
    return replace(span, start=start, duration=max(0, min(span.end, outer.end) - start))
