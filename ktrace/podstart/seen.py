"""What the sources say of a pod's start, before any of it is put in order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from ktrace.jaeger import Span, Trace
from ktrace.podstart.calls import (
    EXEC,
    START,
    SYNC,
    Call,
    all_calls,
    changes_nothing,
    container_names,
    first_calls,
    missing_by_error,
    up_to_last_start,
)
from ktrace.podstart.model import ContainerStart, Request, Spans
from ktrace.podstart.pod import APP, Pod, PodEvent

_STARTED = "Started"
_NODE_TAGS = ("k8s.node.name", "host.name")


@dataclass(frozen=True)
class Seen:
    """What the sources say, before any of it is put in order."""

    spans: Spans
    pod: Pod | None
    events: Sequence[PodEvent]
    runtime_traced: bool = False
    """Whether the node's runtime is known to be traced: it must have spans of its own."""

    @cached_property
    def syncs(self) -> list[Span]:
        """The syncPods that have ended, ordered by start."""
        found = filter(None, map(_sync_of, self.spans.syncs))
        return sorted(found, key=lambda span: span.start)

    @cached_property
    def calls(self) -> list[Call]:
        """Of the start, as far as that is known; what follows the last start too."""
        return first_calls(
            self.spans.syncs,
            self.pod,
            self._first_ephemeral_request,
            beginning_lost=self.spans.beginning_lost,
        )

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
            told = {*names, *(event.container for event in self.told_to_start)}
            return tuple(
                ContainerStart(known.name, known.kind, known.started or known.name in told)
                for known in self.pod.containers
            )
        last_start = max((call.span.start for call in self.starts), default=0)
        syncs = [sync for sync in self.syncs if sync.start < self._first_ephemeral_request]
        missing = missing_by_error(syncs, list(filter(None, names)), last_start)
        return tuple(
            [ContainerStart(name, APP, started=True) for name in names]
            + [ContainerStart(name, APP, started=False) for name in missing]
        )

    @cached_property
    def told_to_start(self) -> list[PodEvent]:
        """The Events that a container has started: the kubelet reports no status of a container
        before its sync has ended, which may pull for minutes or wait for a handler."""
        return [event for event in self.events if event.reason == _STARTED and event.container]

    @property
    def wanted_known(self) -> bool:
        return bool(self.pod and self.pod.containers)

    @cached_property
    def incomplete(self) -> bool:
        """Whether a container is known not to have started, or none is known to have."""
        started = [container.started for container in self.containers]
        return not all(started) or not any(started)

    @property
    def goes_on(self) -> bool:
        """Whether the pod object tells that containers will still be started."""
        pod = self.pod
        ended = pod is None or pod.deleted or pod.ended
        return self.wanted_known and self.incomplete and not ended

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
    def rest_of_sync(self) -> tuple[int, int] | None:
        """From the last start until its syncPod had ended, in microseconds, where the kubelet then
        called nothing: a postStart handler that is no command has no span."""
        calls = [] if self.incomplete else self.steps_of
        if not calls or calls[-1].method != START or self.after:
            return None
        last = calls[-1]
        sync = _sync_of(last.trace)
        if sync is None or sync.failed or sync.end <= last.span.end:
            return None
        quiet = changes_nothing(last.trace, last.span.end, sync.end)
        return (last.span.end, sync.end) if quiet else None

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

    @cached_property
    def calls_without_runtime(self) -> list[Call]:
        """Calls of the start of which the runtime's part has not arrived, though it is traced."""
        silent = [call for call in self.steps_of if not call.below]
        return silent if self.runtime_traced or len(silent) < len(self.steps_of) else []

    @cached_property
    def end_known(self) -> bool:
        """Whether each app container that has started has a span of that, or a time in the pod
        object, which has none of the first start after a restart; they start last."""
        if self.pod is None or not self.wanted_known or not self.lacks_spans:
            return True
        named = {self.names.get(call.container_id, "") for call in self.starts}
        started = [
            container
            for container, found in zip(self.pod.containers, self.containers, strict=True)
            if found.started and container.kind == APP
        ]
        return all(found.name in named or found.started_at is not None for found in started)


def node_of(span: Span) -> str:
    """The node that sent the span; empty where its resource does not tell."""
    return next((str(span.process[tag]) for tag in _NODE_TAGS if span.process.get(tag)), "")


def _sync_of(trace: Trace) -> Span | None:
    return next((span for span in trace.spans if span.operation == SYNC), None)
