"""How the containers of a pod were ended: the kubelet's calls in its syncTerminatingPods."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from ktrace.jaeger import Span, Trace
from ktrace.podend.model import ENDED, KILLED
from ktrace.podstart.calls import EXEC, Call
from ktrace.podstart.pod import SECOND, Container, Pod

TERMINATING, TERMINATED = "syncTerminatingPod", "syncTerminatedPod"
STOP, STOP_SANDBOX = "StopContainer", "StopPodSandbox"
NETWORK = "cni.Remove"
_KILLS = ("client.task.Kill", "task.Kill")
"""containerd's spans of a signal that it sends, as 2.3 and 2.0 to 2.2 name them."""
_LEAST_GRACE = 2 * SECOND
"""What the kubelet gives every container to end (minimumGracePeriodInSeconds in
pkg/kubelet/kuberuntime of Kubernetes 1.27 to 1.37)."""
_SHORTEST_WAIT = _LEAST_GRACE - SECOND // 10
_SIGKILL = 128 + 9


@dataclass(frozen=True)
class Stop:
    """A call that stopped a container, and the preStop command before it."""

    call: Call
    pre_stop: Call | None = None
    name: str = ""
    container: Container | None = None
    """As the pod object has it."""

    @cached_property
    def _signals(self) -> list[Span]:
        """Those that the runtime sent: the stop signal at once, SIGKILL after the grace period."""
        return [
            span
            for span in self.call.below
            if span.operation in _KILLS and not span.tags.get("task.exec.id")
        ]

    @cached_property
    def resisted(self) -> int | None:
        """Microseconds between the stop signal and SIGKILL; None if it did not have to be killed,
        or if that is not known."""
        if not self._signals or self.exit_code not in (None, _SIGKILL):
            return None
        waited = self._signals[-1].start - self._signals[0].start
        return waited if waited >= _SHORTEST_WAIT else None

    @property
    def how(self) -> str:
        """KILLED, ENDED, or empty where neither a span nor an exit code tells it.

        In a second call for the same container the runtime sends SIGKILL alone.
        """
        if self.resisted is not None:
            return KILLED
        if self.exit_code is not None:
            return ENDED if self.exit_code != _SIGKILL else ""
        at_once = [
            signal
            for signal in self._signals
            if signal.start - self.call.span.start < _SHORTEST_WAIT
        ]
        return ENDED if at_once and not self.call.failed else ""

    @property
    def exit_code(self) -> int | None:
        return self.container.exit_code if self.container else None

    @property
    def hook_cut(self) -> bool:
        """Whether the preStop command still ran when the container was stopped: the kubelet waits
        for it until the grace period ends."""
        return self.pre_stop is not None and self.pre_stop.span.end > self.call.span.start + 1000


def sync_of(trace: Trace, operation: str) -> Span | None:
    """None while it runs: a span is sent when it ends."""
    return next((span for span in trace.spans if span.operation == operation), None)


def calls_in(trace: Trace, method: str) -> list[Call]:
    """The kubelet's calls of ``method``, ordered by start."""
    calls = (Call(trace, span) for span in trace.spans)
    return sorted((c for c in calls if c.method == method), key=lambda call: call.span.start)


def hooks_in(trace: Trace) -> list[Call]:
    """preStop commands: what a probe runs meanwhile is not below a syncTerminatingPod, but may be
    below a syncPod in the same trace."""
    sync = sync_of(trace, TERMINATING)
    calls = calls_in(trace, EXEC)
    return [call for call in calls if sync is None or call.span.parent_id == sync.span_id]


def stops_in(
    traces: Iterable[Trace], names: Mapping[str, str], pod: Pod | None, only: str = ""
) -> list[Stop]:
    """Those of all ``traces``, ordered by start.

    ``names`` are containers' by the runtime's ids; ``only`` is the name of the pod's one container,
    where it is known to have no other.
    """
    by_id = {found.id: found for found in pod.containers if found.id} if pod else {}
    found = []
    for trace in traces:
        hooks = {call.container_id: call for call in hooks_in(trace) if call.container_id}
        for call in calls_in(trace, STOP):
            own = by_id.get(call.container_id)
            name = own.name if own else names.get(call.container_id, "") or only
            container = own or (pod.container(name) if pod and name else None)
            found.append(Stop(call, hooks.get(call.container_id), name, container))
    return sorted(found, key=lambda stop: stop.call.span.start)


def unpaired_hooks(traces: Iterable[Trace], stops: Sequence[Stop]) -> list[Call]:
    """preStop commands whose container has not been stopped yet, or is not known."""
    paired = {id(stop.pre_stop.span) for stop in stops if stop.pre_stop}
    return [call for trace in traces for call in hooks_in(trace) if id(call.span) not in paired]
