"""Builds a pod's start from spans, the pod object and its Events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property

from ktrace.components import KUBELET
from ktrace.podstart import critical_path, progress, readiness
from ktrace.podstart.calls import START
from ktrace.podstart.layout import laid
from ktrace.podstart.model import PodStart, Ready, Spans, Step, Waiting
from ktrace.podstart.pod import SECOND, Condition, Pod, PodEvent
from ktrace.podstart.seen import Seen
from ktrace.podstart.steps import Steps
from ktrace.podstart.timeline import Clock, Timeline

_NO_NAMES = (
    "no span names a container (containerd is not traced, or older than 2.0): a restart may count "
    "as part of the start"
)
_NO_CALLS = (
    "no call to the runtime is below the kubelet's syncPod: Kubernetes 1.28 and 1.29 trace those "
    "separately (kubernetes#121192)"
)
_LOST = "Jaeger no longer has the beginning of the start"
_EVER = 1 << 62
_CLOCKS = 60 * SECOND
"""How far the clock of the machine that looks may be behind the API server's."""
_TO_THE_SECOND = "times that no span has are those of the pod object, to the second"


def build(
    namespace: str,
    name: str,
    spans: Spans,
    pod: Pod | None = None,
    events: Sequence[PodEvent] = (),
    *,
    missing: Sequence[str] = (),
    node_ready: Condition | None = None,
    now: datetime | None = None,
    runtime_traced: bool = False,
) -> PodStart | None:
    """The start that the sources show; None where neither the kubelet's spans nor a pod do.

    ``missing`` names the sources that could not be read. ``node_ready`` is the condition of the
    pod's node, where it is known. ``now`` is when they were read.
    With ``runtime_traced`` the start lacks spans as long as a call has none of the runtime.
    """
    seen = Seen(spans, pod, events, runtime_traced)
    if not seen.syncs and not seen.calls and pod is None:
        return None
    return _Start(namespace, name, seen, tuple(missing), node_ready, now).built()


@dataclass(frozen=True)
class _Start:
    """Puts in order what was seen."""

    namespace: str
    name: str
    seen: Seen
    missing: tuple[str, ...]
    node_ready: Condition | None
    now: datetime | None

    @cached_property
    def times(self) -> Timeline:
        return Timeline(self.seen)

    @cached_property
    def steps(self) -> Steps:
        return Steps(self.seen, self.times)

    def built(self) -> PodStart:
        seen = self.seen
        clock = self.times.clock
        length_ms = clock.total_ms
        found = [*self.steps.of_requests(), *self.steps.of_node()]
        steps = laid(found, 0.0, length_ms, seen.node)
        complete = seen.wanted_known and not seen.incomplete
        started = complete or (seen.pod is None and not seen.incomplete)
        clock_unknown = self._clock_unknown
        # The API server's object of a static pod may be younger than the pod.
        mirror_alone = bool(seen.pod and seen.pod.mirror) and not self.times.beginning_known
        beginning_gone = seen.spans.beginning_lost and not self.times.beginning_known
        began_unseen = seen.spans.beginning_lost or self.times.begins_with_object
        if complete:
            end_known = seen.end_known and not mirror_alone and not clock_unknown
        else:
            # How far one had got that does not go on is not known of spans that are gone.
            end_known = not (seen.wanted_known and began_unseen) or seen.goes_on
            end_known = end_known and not clock_unknown
        called = {call.trace.id: call.trace for call in seen.steps_of}
        sources = [request.span for request in seen.requests] + seen.syncs[:1]
        trace_ids = [*(span.trace_id for span in sources), *called]
        start = PodStart(
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
            waiting=self._waiting,
            ready=self._ready() if started and not mirror_alone and not clock_unknown else Ready(),
            missing=(*self.missing, *self._missing_spans()),
            lacks_spans=seen.lacks_spans or bool(seen.calls_without_runtime),
            goes_on=seen.goes_on,
            beginning_known=self.times.beginning_known,
            beginning_lost=began_unseen,
            length_known=end_known and not beginning_gone,
            to_the_second=self.times.to_the_second,
            clocks_differ=bool(self.times.offset) or clock_unknown,
            looked_at=self.now,
        )
        return critical_path.marked(start)

    @cached_property
    def _clock_unknown(self) -> bool:
        """Whether the times that the kubelet reported are of a clock that cannot be the API
        server's: before the pod's creation, or still to come. Spans tell how it differs."""
        pod = self.seen.pod
        if (
            pod is None
            or pod.created is None
            or pod.mirror
            or (self.seen.starts and not self.seen.lacks_spans)
        ):
            return False
        times = [found.started_at for found in pod.containers if found.started_at]
        times += [event.last for event in self.seen.events if event.uid]
        now = self.now.timestamp() * SECOND if self.now else 0
        told = [time + self.times.offset for time in times]
        ahead = pod.created <= now and any(time > now + _CLOCKS for time in told)
        return ahead or any(time < pod.created for time in told)

    def _ready(self) -> Ready:
        seen, clock = self.seen, self.times.clock
        handlers = self.steps.after_the_last_start(replace(clock, end=_EVER))
        ends = [clock.begin + round(step.end_ms * 1000) for step in handlers]
        handlers_end = max([clock.end, *ends])
        found = readiness.Moment()
        if seen.pod:
            found = readiness.moment(
                seen.pod, seen.spans.status_patches, handlers_end - clock.offset, clock.offset
            )
        if found.at is None:
            later = replace(clock, end=handlers_end)
            return Ready(note=found.note, steps=self._laid_after(handlers, later))
        at = found.at + (clock.offset if found.source == readiness.CONDITION else 0)
        until = replace(clock, end=max(at, clock.end))
        covered = min(handlers_end, until.end)
        steps = [*handlers]
        if seen.pod and until.end > covered:
            begin, end = covered - clock.offset, until.end - clock.offset
            steps.append(until.step(readiness.waits(seen.pod), KUBELET, begin, end))
        after_ms = (until.end - clock.begin) / 1000
        return Ready(after_ms, found.source, self._laid_after(steps, until), found.note)

    def _laid_after(self, steps: Sequence[Step], clock: Clock) -> tuple[Step, ...]:
        """What follows the start, until the end of ``clock``."""
        begin_ms = (self.times.clock.end - clock.begin) / 1000
        return tuple(laid(steps, begin_ms, clock.total_ms, self.seen.node))

    @cached_property
    def _waiting(self) -> tuple[Waiting, ...]:
        seen = self.seen
        if seen.pod:
            started = [container.name for container in seen.containers if container.started]
            changed = [change.end for change in seen.spans.changes]
            return progress.of_pod(
                seen.pod,
                seen.events,
                started,
                self._open_handler(),
                self.node_ready,
                changed=changed,
            )
        return progress.of_errors(seen.syncs) if seen.incomplete else ()

    def _open_handler(self) -> Waiting | None:
        """The postStart handler of the last started container, until its end is known."""
        name, since = self._last_start()
        container = self.seen.pod.container(name) if self.seen.pod and name else None
        if container is None or not container.post_start or container.started:
            return None
        return Waiting(
            f"postStart of {container.name} has not been seen to end", progress.at(since)
        )

    def _last_start(self) -> tuple[str, int | None]:
        """Which container was started by the last call, and when; by an Event without calls."""
        if last := self.seen.calls[-1:]:
            if last[0].method != START or last[0].failed:
                return "", None
            name = self.seen.names.get(last[0].container_id, "")
            return name, last[0].span.end + self.times.offset
        told = max(self.seen.told_to_start, key=lambda event: event.last, default=None)
        return (told.container, told.last) if told else ("", None)

    def _missing_spans(self) -> list[str]:
        """The spans that a start has and Jaeger has not."""
        seen = self.seen
        missing = []
        had_a_node = seen.pod is None or seen.pod.node
        if had_a_node and not seen.syncs and not seen.calls:
            missing.append("spans of the kubelet: Jaeger has none of this pod")
        if not seen.spans.creation and not (seen.pod and seen.pod.mirror):
            missing.append("the span of the request that created the pod")
        if silent := [call.method for call in seen.calls_without_runtime]:
            calls = ", ".join(dict.fromkeys(silent))
            missing.append(f"the runtime's spans of {calls}, which are lost or have not arrived")
        return missing

    def _notes(self, steps: Sequence[Step]) -> list[str]:
        seen, pod = self.seen, self.seen.pod
        notes = list(seen.spans.limits)
        exact = f": {_TO_THE_SECOND}" if self.times.begins_with_object else ""
        if seen.spans.beginning_lost:
            notes.append(f"{_LOST}{exact}")
        elif self.times.begins_with_object:
            notes.append(f"{_LOST}, or never had it{exact}")
        elif self.times.to_the_second:
            notes.append(_TO_THE_SECOND)
        if self.times.offset > 0:
            behind = max(r.span.start for r in seen.requests) - (self.times.first_on_node or 0)
            notes.append(
                f"the node's clock is at least {behind / 1000:.0f} ms behind the API server's: the "
                "node's steps are placed after the requests that caused them"
            )
        elif self.times.offset < 0:
            notes.append(
                f"the node's clock is at least {-self.times.offset / 1000:.0f} ms ahead of the API "
                "server's: the node's steps are placed before the kubelet's first report of them"
            )
        if self._clock_unknown:
            notes.append(
                "the node's clock is not the API server's: what its kubelet reports was before the "
                "pod's creation, or is in the future"
            )
        if seen.spans.ephemeral_requests and pod is None:
            notes.append(
                "an ephemeral container was added (kubectl debug): what was created after that is "
                "left out"
            )
        if len(seen.starts) > 1 and not seen.names:
            notes.append(_NO_NAMES)
        errors = [sync.error for sync in seen.syncs if sync.failed]
        is_told = any(step.error for step in steps) or progress.tells(self._waiting, errors[-1:])
        if not seen.starts and errors and not is_told:
            notes.append(f"the kubelet's last error: {errors[-1]}")
        if self.times.syncs and not seen.calls and not errors:
            notes.append(_NO_CALLS)
        if pod:
            notes += progress.restarts(pod, self._waiting)
        return notes
