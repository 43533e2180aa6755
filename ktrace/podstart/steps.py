"""The steps of a pod's start: requests, the kubelet's calls, and the gaps between them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from ktrace.activity.requests import WEBHOOKS
from ktrace.components import APISERVER, CONTAINERD, KUBELET, SCHEDULER
from ktrace.jaeger import Span, Trace
from ktrace.podstart import gaps
from ktrace.podstart.calls import CREATE, EXEC, PULL, SANDBOX, START, Call
from ktrace.podstart.model import Request, Step
from ktrace.podstart.pod import EXEC as EXEC_HANDLER
from ktrace.podstart.pod import SECOND
from ktrace.podstart.seen import Seen
from ktrace.podstart.timeline import Clock, Timeline

_CALLS = {
    SANDBOX: "sandbox",
    PULL: "pull",
    CREATE: "create container",
    START: "start container",
    EXEC: gaps.POST_START,
}
UNNAMED_HANDLER = "a container's postStart"
REST_OF_SYNC = "until the kubelet's sync had ended"
"""After the last start: without the pod object it is not known whether a handler filled it."""
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
_SCHEDULING = "scheduling (queue and decision)"
_GATED = "scheduling, or a scheduling gate until the pod was changed"
"""A gate that was opened is in no object, Event or span: only that the pod was changed is known."""
_WRITES = ("Create etcd3", "GuaranteedUpdate etcd3")
"""The API server's spans that store an object: a pod, or the node that it is bound to."""


@dataclass(frozen=True)
class Steps:
    """Made of what was seen, in the order of ``times``."""

    seen: Seen
    times: Timeline

    def of_requests(self) -> list[Step]:
        """From the pod's creation until the kubelet begins with it.

        Who acts on a request learns of it from a watch, which may be before the request's end: the
        request's step then ends there.
        """
        clock, spans = self.times.clock, self.seen.spans
        creation, binding = spans.creation, spans.binding
        if not self.seen.requests:
            return []
        first = self.times.first_on_node
        first = None if first is None else first + clock.offset
        steps: list[Step] = []
        done = created = clock.begin
        if creation:
            done = created = caused(creation, binding.span.start if binding else first)
            steps += request_steps(creation, "create request", clock, created)
        if binding:
            steps += self._until_bound(created, binding.span.start)
            done = caused(binding, first)
            steps += request_steps(binding, "bind to a node", clock, done)
        elif first is None and not self.seen.node and clock.end > created:
            steps.append(self._until_changed(created, clock.end))
        if first is not None:
            steps.append(self._until_on_node(done, first))
        return steps

    def _until_bound(self, created: int, bound: int) -> list[Step]:
        """The scheduler's time; where no span tells the creation, its end is not known."""
        step = self.times.clock.step(self._scheduling(created, bound), SCHEDULER, created, bound)
        changes = [min(change.end, bound) for change in self.seen.spans.changes]
        if changes and step.name == _SCHEDULING:
            clock, changed = self.times.clock, max(created, *changes)
            gated = clock.step(_GATED, SCHEDULER, created, changed)
            return [gated, clock.step(_SCHEDULING, SCHEDULER, changed, bound)]
        if self.seen.spans.creation or step.name != _SCHEDULING:
            return [step]
        return [replace(step, name=gaps.NOT_TRACED, unexplained=True)] if step.duration_ms else []

    def _until_changed(self, created: int, end: int) -> Step:
        """Of a pod that is not bound: until the last thing that is known of it."""
        changed = bool(self.seen.spans.changes)
        # An Event of the second in which the gate was opened came after that.
        name = self._scheduling(created, end - SECOND if changed else end)
        name = _GATED if changed and name == _SCHEDULING else name
        return self.times.clock.step(name, SCHEDULER, created, end)

    def _until_on_node(self, done: int, first: int) -> Step:
        """``first`` is when the kubelet began; both are on the API server's clock."""
        clock = self.times.clock
        learns = "the kubelet learns of the pod"
        if not self.times.syncs:
            learns = "the kubelet's sync has not ended: its beginning is not traced yet"
        return clock.step(learns, KUBELET, min(done, first) - clock.offset, first - clock.offset)

    def _scheduling(self, begin: int, end: int) -> str:
        refused = [
            event
            for event in self.seen.events
            if event.reason == "FailedScheduling"
            and event.first < end
            and event.last + SECOND > begin
        ]
        if refused:
            return refused[-1].explaining("unschedulable")
        return _SCHEDULING

    def of_node(self) -> list[Step]:
        """From the first syncPod on: the calls with their details, and the gaps between them."""
        seen, clock = self.seen, self.times.clock
        calls = seen.steps_of
        failed = [call.span.end for call in calls if call.method == SANDBOX and call.failed]
        known = gaps.Context(
            self.times.syncs,
            seen.pod,
            seen.events,
            seen.spans.other_pulls,
            seen.names,
            sorted(failed),
        )
        if not calls and not self.times.syncs:
            return self._untraced(known)
        last = clock.end - clock.offset
        if not calls and not any(sync.failed for sync in self.times.syncs):
            name = "syncPod, without a call to the runtime"
            sync = self.times.syncs[0]
            return [
                clock.step_of(sync, name, KUBELET),
                *self._gap(None, None, sync.end, last, known),
            ]
        steps: list[Step] = []
        first = self.times.first_on_node
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
        clock = self.times.clock
        begin = max((request.span.end for request in self.seen.requests), default=clock.begin)
        if not self.seen.node or not gaps.is_shown((clock.end - begin) / 1000, clock.total_ms):
            return []
        return self._named(gaps.told_by_events(begin, clock.end, known))

    def _gap(
        self,
        previous: Call | None,
        following: Call | None,
        begin: int,
        end: int,
        known: gaps.Context,
    ) -> list[Step]:
        if not gaps.is_shown((end - begin) / 1000, self.times.clock.total_ms):
            return []
        return self._named(gaps.parts(previous, following, begin, end, known))

    def _named(self, parts: Iterable[gaps.Part]) -> list[Step]:
        clock = self.times.clock
        return [
            clock.step(part.name, KUBELET, part.start, part.end, unexplained=not part.known)
            for part in parts
        ]

    def _call_steps(self, call: Call, previous: Call | None) -> list[Step]:
        """The call and what containerd's spans tell of it."""
        clock = self.times.clock
        container = self.seen.names.get(call.container_id, "")
        if call.method == EXEC and previous and previous.trace is call.trace:
            container = container or self.seen.names.get(previous.container_id, "")
        subject = call.image if call.method == PULL else container
        name = f"{_CALLS[call.method]} {subject}".strip()
        if call.method == SANDBOX:
            name = _CALLS[SANDBOX]
        if call.method == EXEC and not subject:
            name = UNNAMED_HANDLER
        component = CONTAINERD if call.below else KUBELET
        details = [
            clock.step_of(_within(span, call.span), _DETAILS[span.operation], CONTAINERD, depth=1)
            for span in call.below
            if span.service == CONTAINERD and span.operation in _DETAILS
        ]
        error = call.error or self._handler_error(call, container)
        return [clock.step_of(call.span, name, component, error=error), *details]

    def after_the_last_start(self, clock: Clock) -> list[Step]:
        """The postStart handler of the last container, or what may be one."""
        last = self.seen.steps_of[-1:]
        container = self.seen.names.get(last[0].container_id, "") if last else ""
        name = f"{gaps.POST_START} {container}" if container else UNNAMED_HANDLER
        steps = []
        for call in self.seen.after:
            begin = max(call.span.start, self.times.clock.end - clock.offset)
            component = CONTAINERD if call.below else KUBELET
            step = clock.step(name, component, begin, max(begin, call.span.end))
            steps.append(replace(step, error=call.error or self._handler_error(call, container)))
        return steps or self._rest_of_sync(clock, container)

    def _rest_of_sync(self, clock: Clock, container: str) -> list[Step]:
        if (rest := self.seen.rest_of_sync) is None:
            return []
        begin, end = rest
        if not gaps.is_shown((end - begin) / 1000, self.times.clock.total_ms):
            return []
        if self.seen.pod is None:
            return [clock.step(REST_OF_SYNC, KUBELET, begin, end, unexplained=True)]
        known = self.seen.pod.container(container)
        if known is None or known.post_start in ("", EXEC_HANDLER):
            return []
        return [clock.step(gaps.handler(known), KUBELET, begin, end)]

    def _handler_error(self, call: Call, container: str) -> str:
        """What its Event tells: a command that ran and failed is no error of the call."""
        if call.method != EXEC:
            return ""
        begin, end = (time + self.times.offset for time in (call.span.start, call.span.end))
        told = (
            event.message or event.reason
            for event in self.seen.events
            if event.reason == gaps.NO_HANDLER
            and event.container == container
            and begin < event.first + SECOND
            and event.first < end + SECOND
        )
        return next(told, "")


def is_handler(step: Step) -> bool:
    """Whether it is a postStart handler, or what is not known to be none."""
    return step.name.startswith(gaps.POST_START) or step.name in (UNNAMED_HANDLER, REST_OF_SYNC)


def caused(request: Request, effect: int | None) -> int:
    """When ``request`` had done what ``effect`` followed from; both in microseconds.

    That is its end, or before that the end of the write to etcd, or at the latest ``effect``.
    """
    if effect is None or not request.span.start <= effect < request.span.end:
        return request.span.end
    stored = [span.end for span in request.below if span.operation in _WRITES]
    return max((end for end in stored if request.span.start <= end <= effect), default=effect)


def request_steps(request: Request, name: str, clock: Clock, end: int) -> list[Step]:
    """The request until ``end``, and the webhooks that it called; whatever these said, the pod was
    stored."""
    span = replace(request.span, duration=end - request.span.start)
    step = clock.step_of(span, name, APISERVER)
    steps = [replace(step, placed=end != request.span.end)]
    trace = Trace(request.span.trace_id, tuple(request.below))
    for below in request.below:
        if below.operation not in WEBHOOKS:
            continue
        webhook = str(below.tags.get("webhook") or below.tags.get("configuration") or "")
        within = (below, *trace.below(below))
        error = next((other.error for other in within if other.failed), "")
        title = f"webhook {webhook}".strip() + (", failed open" if error else "")
        steps.append(clock.step_of(_within(below, span), title, APISERVER, depth=1, error=error))
    return steps


def _within(span: Span, outer: Span) -> Span:
    """``span`` cut to the time of ``outer``: a detail may outlive the call that began it."""
    if outer.start <= span.start and span.end <= outer.end:
        return span
    start = min(max(span.start, outer.start), outer.end)
    return replace(span, start=start, duration=max(0, min(span.end, outer.end) - start))
