"""What the sources say of a pod's ending, before any of it is put in order.

Times are in microseconds; those of the kubelet's spans are on the node's clock.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from ktrace.jaeger import Span, Trace
from ktrace.podend.model import Spans, Write
from ktrace.podend.stops import (
    STOP,
    TERMINATED,
    TERMINATING,
    Stop,
    calls_in,
    hooks_in,
    stops_in,
    sync_of,
    unpaired_hooks,
)
from ktrace.podstart.pod import SECOND, Pod, PodEvent
from ktrace.podstart.seen import node_of

PHASES = ("Succeeded", "Failed")
"""Of a pod whose containers have ended, and will not be started again."""
_KILLING = "Killing"
"""The reason of the Event that the kubelet makes of each container before it stops it."""
FAILED_HOOK = "FailedPreStopHook"
_HASH = re.compile("[0-9a-f]{32}")
_PROMPT = SECOND // 20
_SKEW = 60 * SECOND
"""More than a node's clock may be behind the API server's."""


@dataclass(frozen=True)
class Seen:
    """``gone`` is whether the API server has no pod of that name; ``pod`` is the object."""

    spans: Spans
    pod: Pod | None
    events: Sequence[PodEvent] = ()
    gone: bool = False

    # --- requests ---------------------------------------------------------------------------------

    @cached_property
    def asked(self) -> list[Write]:
        """The requests of others than kubelets to delete or evict it."""
        return [write for write in self.spans.writes if write.how and not write.kubelet]

    @cached_property
    def kubelet_deletes(self) -> list[Write]:
        """The kubelet's own requests to delete it: it does that once it has ended its part."""
        return [write for write in self.spans.writes if write.how and write.kubelet]

    @cached_property
    def removal(self) -> Write | None:
        """The request that removed the object."""
        return next((write for write in reversed(self.spans.writes) if write.removed), None)

    @cached_property
    def reports(self) -> list[Write]:
        """The kubelet's changes of the pod's status."""
        return [write for write in self.spans.writes if write.kubelet and write.status]

    # --- the kubelet ------------------------------------------------------------------------------

    @cached_property
    def _all_terminating(self) -> list[Trace]:
        return sorted(self.spans.terminating, key=_begin)

    @cached_property
    def own_end(self) -> bool:
        """Whether its containers ended before anybody asked for it, as those of a Job do.

        Then the kubelet has reported that before. It may only look so where the node's clock is
        behind the API server's: so the report has to follow the end at once, or the request late.
        """
        if not self.asked:
            alive = self.pod is not None and not self.pod.deleted
            return alive and (bool(self._all_terminating) or self.phase in PHASES)
        asked = self.asked[0].request.span.start
        ends = [sync.end for sync in (*self._own_syncs, *self._all_terminated)]
        if not ends or max(ends) >= asked:
            return False
        if asked - max(ends) > _SKEW:
            return True
        if self.asked[0].removed is False and self.removal and self.removal.kubelet:
            return False  # the API server removes at once what has ended, unless finalizers hold it
        if not self._own_syncs:
            return True  # older than the request, which Jaeger has still: it drops the oldest
        return any(
            -_PROMPT < write.request.span.start - end < 10 * _PROMPT
            and write.request.span.start < asked
            for write in self.reports
            for end in ends
        )

    @cached_property
    def terminating(self) -> list[Trace]:
        """Of this ending: none if they are of the end of its containers before that."""
        return [] if self.own_end and self.asked else self._all_terminating

    @cached_property
    def terminated(self) -> list[Span]:
        """The syncTerminatedPods that have ended, ordered by start."""
        return [] if self.own_end and self.asked else self._all_terminated

    @cached_property
    def _all_terminated(self) -> list[Span]:
        found = filter(None, (sync_of(trace, TERMINATED) for trace in self.spans.terminated))
        return sorted(found, key=lambda span: span.start)

    @cached_property
    def syncs(self) -> list[Span]:
        """The syncTerminatingPods that have ended."""
        return list(filter(None, (sync_of(trace, TERMINATING) for trace in self.terminating)))

    @property
    def containers_ended(self) -> bool:
        """Whether the kubelet has ended all containers."""
        return bool(self.terminated) or any(not sync.failed for sync in self.syncs)

    @cached_property
    def all_stops(self) -> list[Stop]:
        """Ordered by start; of a container that could not be stopped at once there are several."""
        return stops_in(self._all_terminating, self.spans.names, self.pod, self._only_container)

    @cached_property
    def stops(self) -> list[Stop]:
        """The last one of each container whose name is known, and all others."""
        last = {stop.name: stop for stop in self.all_stops if stop.name}
        return [stop for stop in self.all_stops if not stop.name or last[stop.name] is stop]

    @property
    def before_first_stop(self) -> int:
        """Microseconds from the kubelet's beginning to the first stop or preStop command."""
        if not self.terminating:
            return 0
        trace = self.terminating[0]
        calls = [
            *(stop.call for stop in self.all_stops if stop.call.trace is trace),
            *hooks_in(trace),
        ]
        first = min((call.span.start for call in calls), default=0)
        return max(0, first - _begin(trace))

    @property
    def _only_container(self) -> str:
        """The name of the pod's one container, where it is known to have no other."""
        if self.pod:
            ran = [found.name for found in self.pod.containers if found.started]
            return ran[0] if len(ran) == 1 else ""
        begin = min(map(_begin, self._all_terminating), default=0)
        told = {event.container for event in self.events_since(begin) if event.reason == _KILLING}
        calls = [call for trace in self._all_terminating for call in calls_in(trace, STOP)]
        return told.pop() if len(told) == len(calls) == 1 else ""

    @property
    def kubelet_done(self) -> bool:
        """Whether the kubelet has nothing left to do for it; it deletes the object last."""
        if self.kubelet_deletes:
            return True
        pod = self.pod
        if pod is None or not pod.deleted or pod.grace != 0:
            return False
        return self.phase in PHASES or not pod.node

    @cached_property
    def held_since(self) -> int | None:
        """From when on nothing but finalizers can have held the object, on the API server's clock;
        None if that is not known."""
        if self.kubelet_deletes:
            return self.kubelet_deletes[-1].request.span.end
        if self.asked and (self.own_end or self.bound is False):
            return self.asked[0].request.span.end
        return None

    @property
    def phase(self) -> str:
        return self.pod.phase if self.pod else ""

    @property
    def bound(self) -> bool | None:
        """Whether it was on a node; None if nothing tells it."""
        if self.pod:
            return bool(self.pod.node)
        spans = self.spans
        told = any(write.binds or (write.kubelet and write.status) for write in spans.writes)
        if told or spans.seen_by_kubelet or self._all_terminating or spans.terminated:
            return True
        return False if spans.created else None

    @cached_property
    def node(self) -> str:
        spans = (span for trace in self._all_terminating for span in trace.spans)
        of_spans = next(filter(None, (node_of(span) for span in spans if _is_kubelets(span))), "")
        return of_spans or (self.pod.node if self.pod else "")

    @cached_property
    def uid(self) -> str:
        tags = (
            str(span.tags.get("k8s.pod.uid", "")) for span in (*self._own_syncs, *self.terminated)
        )
        return next(filter(None, (*tags, *(self.pod.uids if self.pod else ()))), "")

    @cached_property
    def static(self) -> bool:
        """Whether it is a static pod, which no request ends: its kubelet reads it from a file.

        Its uid is the MD5 hash of that (applyDefaults in pkg/kubelet/config/common.go).
        """
        if self.pod:
            return self.pod.mirror
        return bool(_HASH.fullmatch(self.uid))

    @property
    def _own_syncs(self) -> list[Span]:
        found = (sync_of(trace, TERMINATING) for trace in self._all_terminating)
        return list(filter(None, found))

    def failed_hooks(self, begin: int) -> list[str]:
        """The containers whose preStop handler failed since ``begin``, as Events alone tell: one
        that is no command has no span."""
        unpaired = unpaired_hooks(self._all_terminating, self.all_stops)
        traced = {stop.name for stop in self.all_stops if stop.pre_stop}
        traced |= {self.spans.names.get(hook.container_id, "") for hook in unpaired}
        events = (event for event in self.events_since(begin) if event.reason == FAILED_HOOK)
        failed = dict.fromkeys(event.container for event in events)
        return [name for name in failed if not traced & {"", name}]

    def events_since(self, begin: int) -> list[PodEvent]:
        """Those that may be of the ending: Events have times to the second."""
        return [event for event in self.events if event.last + SECOND > begin]


def _begin(trace: Trace) -> int:
    return min((span.start for span in trace.spans), default=0)


def _is_kubelets(span: Span) -> bool:
    return span.service == "kubelet"
