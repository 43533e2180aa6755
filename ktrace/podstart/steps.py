"""The steps of a pod's start: requests, the kubelet's calls, and the gaps between them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ktrace.components import APISERVER, CONTAINERD, KUBELET, SCHEDULER
from ktrace.jaeger import Span, Trace
from ktrace.podstart import gaps
from ktrace.podstart.calls import CREATE, EXEC, PULL, SANDBOX, START, Call
from ktrace.podstart.model import Request, Step
from ktrace.podstart.pod import SECOND
from ktrace.podstart.seen import Seen
from ktrace.podstart.timeline import Clock, Timeline

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


@dataclass(frozen=True)
class Steps:
    """Made of what was seen, in the order of ``times``."""

    seen: Seen
    times: Timeline

    def of_requests(self) -> list[Step]:
        """From the request that creates the pod until the kubelet begins with it."""
        clock, spans = self.times.clock, self.seen.spans
        if not self.seen.requests:
            return []
        creation, binding = spans.creation, spans.binding
        steps: list[Step] = []
        if creation:
            steps += _request(creation, "create request", clock)
        if creation and binding:
            begin, end = creation.span.end, binding.span.start
            steps.append(clock.step(self._scheduling(begin, end), SCHEDULER, begin, end))
        if binding:
            steps += _request(binding, "bind to a node", clock)
        if (first := self.times.first_on_node) is not None:
            first += clock.offset
            answered = min(max(request.span.end for request in self.seen.requests), first)
            learns = "the kubelet learns of the pod"
            if not self.times.syncs:
                learns = "the kubelet's sync has not ended: its beginning is not traced yet"
            steps.append(clock.step(learns, KUBELET, answered - clock.offset, first - clock.offset))
        elif self.seen.incomplete and creation and not binding:
            begin = creation.span.end
            steps.append(
                clock.step(self._scheduling(begin, clock.end), SCHEDULER, begin, clock.end)
            )
        return steps

    def _scheduling(self, begin: int, end: int) -> str:
        refused = [
            event
            for event in self.seen.events
            if event.reason == "FailedScheduling"
            and event.first < end
            and event.last + SECOND > begin
        ]
        if refused:
            return f"unschedulable: {refused[-1].message}"
        return "scheduling (queue and decision)"

    def of_node(self) -> list[Step]:
        """From the first syncPod on: the calls with their details, and the gaps between them."""
        seen, clock = self.seen, self.times.clock
        calls = seen.steps_of
        known = gaps.Context(
            self.times.syncs, seen.pod, seen.events, seen.spans.other_pulls, seen.names
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
        return self._gap(None, None, begin, clock.end, known) if self.seen.node else []

    def _gap(
        self,
        previous: Call | None,
        following: Call | None,
        begin: int,
        end: int,
        known: gaps.Context,
    ) -> list[Step]:
        total_ms = (self.times.clock.end - self.times.clock.begin) / 1000
        if not gaps.is_shown((end - begin) / 1000, total_ms):
            return []
        return [
            self.times.clock.step(
                part.name, KUBELET, part.start, part.end, unexplained=not part.known
            )
            for part in gaps.parts(previous, following, begin, end, known)
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
            name = "a container's postStart"
        component = CONTAINERD if call.below else KUBELET
        details = [
            clock.step_of(_within(span, call.span), _DETAILS[span.operation], CONTAINERD, depth=1)
            for span in call.below
            if span.service == CONTAINERD and span.operation in _DETAILS
        ]
        return [clock.step_of(call.span, name, component, error=call.error), *details]

    def after_the_last_start(self, clock: Clock) -> list[Step]:
        """The postStart handler of the last container."""
        last = self.seen.steps_of[-1:]
        container = self.seen.names.get(last[0].container_id, "") if last else ""
        name = f"postStart of {container}" if container else "a container's postStart"
        steps = []
        for call in self.seen.after:
            begin = max(call.span.start, self.times.clock.end - clock.offset)
            component = CONTAINERD if call.below else KUBELET
            step = clock.step(name, component, begin, max(begin, call.span.end))
            steps.append(replace(step, error=call.error))
        return steps


def _request(request: Request, name: str, clock: Clock) -> list[Step]:
    """The request and the webhooks that it called; the pod was stored, whatever they said."""
    steps = [clock.step_of(request.span, name, APISERVER)]
    for span in request.below:
        if span.operation not in _WEBHOOKS:
            continue
        webhook = str(span.tags.get("webhook") or span.tags.get("configuration") or "")
        within = (span, *Trace(span.trace_id, tuple(request.below)).below(span))
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
