"""When a pod's start began, how far it has got, and how the node's clock differs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from ktrace.components import CONTAINERD, KUBELET
from ktrace.jaeger import Span
from ktrace.podstart.model import Step
from ktrace.podstart.pod import SECOND
from ktrace.podstart.seen import Seen


@dataclass(frozen=True)
class Clock:
    """Makes steps of times in microseconds, within the start from ``begin`` to ``end``.

    ``offset`` is added to the times of the node's clock, if that is known to differ from the API
    server's, whose times ``begin`` and ``end`` are.
    """

    begin: int
    end: int
    offset: int = 0
    node: str = ""

    @property
    def total_ms(self) -> float:
        return (self.end - self.begin) / 1000

    def at(self, time: int, component: str) -> float:
        """Milliseconds since the beginning."""
        if component in (KUBELET, CONTAINERD):
            time += self.offset
        return (min(max(time, self.begin), self.end) - self.begin) / 1000

    def step(
        self,
        name: str,
        component: str,
        start: int,
        end: int,
        *,
        unexplained: bool = False,
        depth: int = 0,
        error: str = "",
    ) -> Step:
        start_ms = self.at(start, component)
        duration_ms = max(0.0, self.at(end, component) - start_ms)
        node = self.node if component in (KUBELET, CONTAINERD) else ""
        return Step(
            name,
            component,
            start_ms,
            duration_ms,
            unexplained=unexplained,
            depth=depth,
            error=error,
            node=node,
        )

    def step_of(
        self, span: Span, name: str, component: str, *, depth: int = 0, error: str = ""
    ) -> Step:
        return self.step(name, component, span.start, span.end, depth=depth, error=error)


@dataclass(frozen=True)
class Timeline:
    """The times of what was seen; in microseconds, as spans have them."""

    seen: Seen

    @cached_property
    def clock(self) -> Clock:
        begin = self._begin
        ends = [request.span.end for request in self.seen.requests]
        ends += [change.end for change in self.seen.spans.changes]
        if self._node_end:
            ends.append(self._node_end + self.offset)
        elif not self.seen.goes_on and self.seen.end_known:
            ends += [event.last for event in self.seen.events]
        return Clock(begin, max([begin, *ends]), self.offset, self.seen.node)

    @cached_property
    def begins_with_object(self) -> bool:
        """Whether only the pod object tells the beginning, to the second.

        It was created within the second after that time: spans that begin in it are more exact.
        """
        seen = self.seen
        created = seen.pod.created if seen.pod else None
        if created is None or seen.spans.creation:
            return False
        first = min(self._span_begins, default=None)
        if first is None or seen.spans.beginning_lost:
            return True
        return created + SECOND < first and not (seen.pod and seen.pod.mirror)

    @property
    def beginning_known(self) -> bool:
        """Whether the start begins with the pod, and not only with what is known of it."""
        seen = self.seen
        if seen.pod and seen.pod.mirror:
            return bool(seen.syncs) and not seen.spans.beginning_lost
        return bool(seen.spans.creation or (seen.pod and seen.pod.created is not None))

    @property
    def to_the_second(self) -> bool:
        """Whether the pod object alone tells the beginning or the end.

        Without the span of its request the pod was created at most a second before its first span.
        """
        seen = self.seen
        told = seen.pod is not None and seen.pod.created is not None and not seen.pod.mirror
        begins_unseen = self.begins_with_object or (told and not seen.spans.creation)
        return begins_unseen or (not seen.incomplete and seen.lacks_spans)

    @cached_property
    def _begin(self) -> int:
        begins = list(self._span_begins)
        if self.begins_with_object and self.seen.pod and self.seen.pod.created is not None:
            begins.append(self.seen.pod.created)
        return min(begins, default=0)

    @cached_property
    def _span_begins(self) -> list[int]:
        own = [*self.syncs, *(call.span for call in self.seen.steps_of)]
        requests = [request.span.start for request in self.seen.requests]
        return [*requests, *(span.start + self.offset for span in own)]

    @cached_property
    def offset(self) -> int:
        """By how much the node's clock has to be moved for the kubelet to follow the requests, and
        for its first report of the pod to follow the sync that made it: negative for one that is
        ahead."""
        requests = [request.span for request in self.seen.requests]
        first = self.first_on_node
        if not requests or first is None:
            return 0
        if first < max(span.start for span in requests):
            return max(span.end for span in requests) - first
        reports = [patch.start for patch in self.seen.spans.status_patches]
        if not self.syncs or self.seen.spans.beginning_lost or not reports:
            return 0
        return min(0, min(reports) - self.syncs[0].start)

    @cached_property
    def syncs(self) -> list[Span]:
        """The ended syncs of the start: where its beginning is lost, those without calls say
        nothing of it."""
        seen = self.seen
        if not seen.spans.beginning_lost:
            return seen.syncs
        called = {call.trace.id for call in seen.steps_of}
        return [sync for sync in seen.syncs if sync.trace_id in called]

    @property
    def first_on_node(self) -> int | None:
        own = [*self.syncs[:1], *(call.span for call in self.seen.steps_of[:1])]
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
            ends += [sync.end for sync in self.syncs if sync.failed]
        else:
            ends = [call.span.end for call in seen.starts]
            if seen.lacks_spans and seen.pod:
                ends += [known.started_at for known in seen.pod.containers if known.started_at]
        if not ends and seen.end_known:
            ends = [sync.end for sync in self.syncs[:1]]
        return max(ends, default=0)
