"""The steps of a pod's ending: requests, the kubelet's calls, and what lies between them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from ktrace.components import APISERVER, CONTAINERD, KUBELET
from ktrace.jaeger import Span, Trace
from ktrace.podend.model import DELETED, EVICTED, IN_COLLECTION, KILLED, Write
from ktrace.podend.seen import FAILED_HOOK, Seen
from ktrace.podend.stops import (
    NETWORK,
    STOP_SANDBOX,
    TERMINATING,
    Stop,
    calls_in,
    sync_of,
    unpaired_hooks,
)
from ktrace.podstart import gaps
from ktrace.podstart.calls import Call
from ktrace.podstart.model import Step
from ktrace.podstart.pod import EXEC, SECOND, SIDECAR
from ktrace.podstart.steps import caused, request_steps
from ktrace.podstart.timeline import Clock

_HOW = {
    DELETED: "delete request",
    EVICTED: "eviction request",
    IN_COLLECTION: "delete request for the collection",
}
_NEXT_LOOK = "the kubelet's next look at the runtime (every second)"
_LOOK = SECOND + SECOND // 5
"""Before it goes on, the kubelet waits until it has seen the runtime's state anew: it looks every
second (podWorkerLoop in pkg/kubelet/pod_workers.go of Kubernetes 1.36)."""
_READ = "the kubelet reads how they ended"
_HELD = "held by finalizers"
_CLEAN_UP = "volumes unmounted, cgroup removed"


@dataclass(frozen=True)
class Steps:
    seen: Seen
    clock: Clock

    def found(self) -> list[Step]:
        """In the order of cause and effect."""
        return [*self._of_requests(), *self._of_node(), *self._of_removal()]

    # --- requests ---------------------------------------------------------------------------------

    def _of_requests(self) -> Iterator[Step]:
        """The first request for it, until the kubelet begins with it."""
        if not self.seen.asked:
            return
        first, began = self.seen.asked[0], self._first_on_node
        began = None if began is None else began + self.clock.offset
        done = caused(first.request, began)
        yield from request_steps(first.request, self._name(first), self.clock, done)
        if began is not None:
            offset = self.clock.offset
            begin, end = min(done, began) - offset, began - offset
            yield self.clock.step("until the kubelet begins to end it", KUBELET, begin, end)

    @staticmethod
    def _name(write: Write) -> str:
        return f"{_HOW[write.how]} by {write.client}"

    @property
    def _first_on_node(self) -> int | None:
        begins = [span.start for trace in self.seen.terminating for span in trace.spans]
        return min([*begins, *(span.start for span in self.seen.terminated)], default=None)

    # --- the node ---------------------------------------------------------------------------------

    def _of_node(self) -> Iterator[Step]:
        covered: int | None = None
        for trace in self.seen.terminating:
            sync = sync_of(trace, TERMINATING)
            begin = min(span.start for span in trace.spans)
            if covered is not None:
                yield from self._next_look(covered, begin)
            yield from self._of_trace(trace, begin)
            covered = max(span.end for span in trace.spans)
            if sync and sync.failed:
                yield self.clock.step_of(
                    replace(sync, start=sync.end, duration=0),
                    "the kubelet could not end it",
                    KUBELET,
                    error=sync.error,
                )
        for span in self.seen.terminated:
            if covered is not None:
                yield from self._next_look(covered, span.start)
            yield self.clock.step_of(span, _CLEAN_UP, KUBELET, error=span.error)
            covered = span.end

    def _next_look(self, begin: int, end: int) -> Iterator[Step]:
        known = end - begin <= _LOOK
        if end > begin and gaps.is_shown((end - begin) / 1000, self._length_ms):
            name = _NEXT_LOOK if known else gaps.NOT_TRACED
            yield self.clock.step(name, KUBELET, begin, end, unexplained=not known)

    @property
    def _length_ms(self) -> float:
        return (self.clock.end - self.clock.begin) / 1000

    def _of_trace(self, trace: Trace, begin: int) -> Iterator[Step]:
        stops = [stop for stop in self.seen.all_stops if stop.call.trace is trace]
        steps: list[Step] = []
        for stop in stops:
            steps += self._before(stop, begin)
            steps.append(self._stop(stop))
        for call in unpaired_hooks([trace], stops):
            steps.append(self._hook(call, self.seen.spans.names.get(call.container_id, "")))
        yield from self._grouped(sorted(steps, key=lambda step: (step.start_ms, step.end_ms)))
        for call in calls_in(trace, STOP_SANDBOX):
            yield from self._sandbox(call)
        yield from self._read(trace)

    def _read(self, trace: Trace) -> Iterator[Step]:
        """The kubelet asks the runtime how the containers have ended, and with which exit codes."""
        sync = sync_of(trace, TERMINATING)
        calls = (*calls_in(trace, "PodSandboxStatus"), *calls_in(trace, "ContainerStatus"))
        if sync and calls and not sync.failed:
            begin = min(call.span.start for call in calls)
            yield self.clock.step(_READ, KUBELET, begin, sync.end)

    def _grouped(self, steps: Sequence[Step]) -> list[Step]:
        """One after another as they are; of those that overlap, details of one step."""
        apart = all(after.start_ms >= before.end_ms for before, after in itertools.pairwise(steps))
        if apart:
            return list(steps)
        begin_ms, end_ms = min(s.start_ms for s in steps), max(s.end_ms for s in steps)
        whole = Step("containers end", KUBELET, begin_ms, end_ms - begin_ms, node=self.clock.node)
        return [whole, *(replace(step, depth=1) for step in steps)]

    def _before(self, stop: Stop, begin: int) -> Iterator[Step]:
        """What the container's stop waited for."""
        if stop.pre_stop:
            yield self._hook(stop.pre_stop, stop.name, cut=stop.hook_cut)
            return
        container, since = stop.container, stop.call.span.start
        if container is None or not gaps.is_shown((since - begin) / 1000, self._length_ms):
            return
        if container.pre_stop and container.pre_stop != EXEC:
            name = f"preStop of {container.name} ({container.pre_stop})"
            yield self.clock.step(name, KUBELET, begin, since)

    def _hook(self, call: Call, name: str, *, cut: bool = False) -> Step:
        title = f"preStop of {name}" if name else "a container's preStop"
        title += ", not done when the grace period ended" if cut else ""
        failed = next(
            (
                event.message or event.reason
                for event in self.seen.events_since(call.span.start)
                if event.reason == FAILED_HOOK and event.container == name
            ),
            "",
        )
        component = CONTAINERD if call.below else KUBELET
        return self.clock.step_of(call.span, title, component, error=call.error or failed)

    def _stop(self, stop: Stop) -> Step:
        name = f"stop {stop.name}" if stop.name else "stop a container"
        if stop.container and stop.container.kind == SIDECAR:
            name += " (sidecar)"
        if stop.how == KILLED and stop.resisted is not None:
            name += f": still ran {stop.resisted / SECOND:.2f} s after its stop signal, killed"
        elif stop.exit_code:
            name += f": exit code {stop.exit_code}"
        component = CONTAINERD if stop.call.below else KUBELET
        return self.clock.step_of(stop.call.span, name, component, error=stop.call.error)

    def _sandbox(self, call: Call) -> Iterator[Step]:
        component = CONTAINERD if call.below else KUBELET
        yield self.clock.step_of(call.span, "stop the sandbox", component, error=call.error)
        for span in call.below:
            if span.operation == NETWORK:
                name = "network taken down (CNI)"
                yield self.clock.step_of(span, name, CONTAINERD, depth=1, error=span.error)

    # --- what is left of the object ---------------------------------------------------------------

    def _of_removal(self) -> Iterator[Step]:
        """The kubelet's last report and its DELETE, and what held the object after that."""
        last = max((span.end for span in self.seen.terminated), default=None)
        if last is not None and self.seen.kubelet_deletes:
            for write in self.seen.reports:
                if write.request.span.start >= last + self.clock.offset:
                    yield self._plain(write.request.span, "the kubelet reports the last status")
        for write in self.seen.kubelet_deletes:
            name = "delete request by the kubelet"
            yield from request_steps(write.request, name, self.clock, write.request.span.end)
        removal = self.seen.removal
        if removal is None or removal.kubelet or removal in self.seen.asked[:1]:
            return
        begin, held_since = removal.request.span.start, self.seen.held_since
        if held_since is not None and begin > held_since:
            yield self.clock.step(_HELD, APISERVER, held_since, begin)
        what = f"{_HOW[removal.how]} by" if removal.how else "the last finalizer removed by"
        name = f"{what} {removal.client}"
        yield from request_steps(removal.request, name, self.clock, removal.request.span.end)

    def _plain(self, span: Span, name: str) -> Step:
        return self.clock.step_of(span, name, APISERVER)
