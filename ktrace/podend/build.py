"""Builds a pod's ending from spans, the pod object and its Events."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property

from ktrace.jaeger import Span
from ktrace.podend import waits
from ktrace.podend.model import (
    KUBELET,
    OBJECT,
    REQUEST,
    Asked,
    ContainerEnd,
    PodEnding,
    Spans,
)
from ktrace.podend.seen import PHASES, Seen
from ktrace.podend.steps import Steps
from ktrace.podend.stops import Stop
from ktrace.podstart import critical_path, progress
from ktrace.podstart.layout import laid
from ktrace.podstart.pod import DISRUPTION, SECOND, Condition, Pod, PodEvent
from ktrace.podstart.timeline import Clock

_TO_THE_SECOND = "times that no span has are those of the pod object, to the second"
_NO_CALLS = (
    "no call to the runtime is below the kubelet's syncTerminatingPod: Kubernetes 1.28 and 1.29 "
    "trace those separately (kubernetes#121192)"
)
_NOTICED = SECOND // 2
_LONG = 1900
"""Milliseconds: how long a container that is killed runs at least after its stop signal."""


def build(
    namespace: str,
    name: str,
    spans: Spans,
    pod: Pod | None = None,
    events: Sequence[PodEvent] = (),
    *,
    gone: bool = False,
    node_ready: Condition | None = None,
    missing: Sequence[str] = (),
    now: datetime | None = None,
) -> PodEnding | None:
    """The ending that the sources show; None where neither a span nor a pod does.

    ``gone`` is whether the API server has no pod of that name; ``node_ready`` the condition of its
    node; ``missing`` names the sources that could not be read, ``now`` is when they were read.
    """
    seen = Seen(spans, pod, events, gone)
    if pod is None and not (seen.asked or seen.terminating or seen.terminated or seen.removal):
        return None
    return _Ending(namespace, name, seen, node_ready, tuple(missing), now).built()


@dataclass(frozen=True)
class _Ending:
    """Puts in order what was seen; times are in microseconds."""

    namespace: str
    name: str
    seen: Seen
    node_ready: Condition | None
    missing: tuple[str, ...]
    now: datetime | None

    def built(self) -> PodEnding:
        seen, pod = self.seen, self.seen.pod
        begin = self._begin
        ending = PodEnding(
            namespace=self.namespace,
            pod=self.name,
            uid=seen.uid,
            node=seen.node,
            asked=tuple(
                Asked(
                    write.how,
                    write.client,
                    _moment(write.request.span.start),
                    write.removed is True,
                )
                for write in seen.asked
            ),
            deleted=self._deleted,
            begun=_moment(begin) if begin is not None else None,
            begun_by=self._begun_by,
            beginning_known=self._beginning_known,
            ended=self._ended,
            phase=pod.phase if pod else "",
            outcome=": ".join(filter(None, (pod.reason, pod.message))) if pod else "",
            disruption=_disruption(pod),
            grace_seconds=pod.grace if pod else None,
            finalizers=pod.finalizers if pod else (),
            containers=tuple(self._containers),
            notes=tuple(dict.fromkeys(self._notes())),
            missing=(*self.missing, *self._missing_spans()),
            trace_ids=tuple(dict.fromkeys(self._trace_ids())),
            lacks_spans=any(not stop.call.below for stop in seen.stops),
            spans_without_parent=sum(trace.spans_without_parent for trace in seen.terminating),
            looked_at=self.now,
        )
        if begin is None:
            return ending
        clock = self._clock
        length_ms = (clock.end - clock.begin) / 1000
        steps = laid(Steps(seen, clock).found(), 0.0, length_ms, seen.node)
        known = bool(ending.ended) and self._end_known and self._beginning_known
        ending = replace(
            ending,
            steps=tuple(critical_path.mark(steps, length_ms) if known else steps),
            duration_ms=length_ms if known else None,
            to_the_second=self._begun_by == OBJECT,
        )
        return replace(ending, waiting=waits.of(seen, ending, self.node_ready))

    # --- when -------------------------------------------------------------------------------------

    @cached_property
    def _on_node(self) -> list[Span]:
        """What the kubelet did in this ending, ordered by start."""
        found = [span for trace in self.seen.terminating for span in trace.spans]
        return sorted([*found, *self.seen.terminated], key=lambda span: span.start)

    @property
    def _begun_by(self) -> str:
        if self.seen.asked:
            return REQUEST
        if self._object_asked is not None:
            return OBJECT
        return KUBELET if self._on_node else ""

    @property
    def _object_asked(self) -> int | None:
        """When the object's deletion was requested, to the second: it is the kubelet's own request
        that the object tells once its grace period is 0."""
        pod = self.seen.pod
        return pod.deletion_requested if pod and (pod.grace or not self._on_node) else None

    @cached_property
    def _begin(self) -> int | None:
        if self.seen.asked:
            return self.seen.asked[0].request.span.start
        begins = [span.start for span in self._on_node[:1]]
        if self._object_asked is not None:
            begins.append(self._object_asked)
        return min(begins, default=None)

    @cached_property
    def _offset(self) -> int:
        """By how much the node's clock has to be moved for the kubelet to follow the request, and
        for its own delete request to follow the sync after which it sends that: negative for a
        clock that is ahead."""
        if not self.seen.asked or not self._on_node:
            return 0
        request, first = self.seen.asked[0].request.span, self._on_node[0].start
        if first < request.start:
            return request.end - first
        done = max((span.end for span in self.seen.terminated), default=None)
        if done is None or not self.seen.kubelet_deletes:
            return 0
        ahead = min(0, self.seen.kubelet_deletes[-1].request.span.start - done)
        return ahead if first + ahead >= request.start else 0

    @cached_property
    def _clock(self) -> Clock:
        begin = self._begin or 0
        requests = [*self.seen.asked[:1], *self.seen.kubelet_deletes]
        if self.seen.removal:
            requests.append(self.seen.removal)
        ends = [write.request.span.end for write in requests]
        ends += [span.end + self._offset for span in self._on_node]
        return Clock(begin, max([begin, *ends]), self._offset, self.seen.node)

    # --- whether ----------------------------------------------------------------------------------

    @property
    def _deleted(self) -> bool | None:
        if self.seen.static and self.seen.pod is None:
            return None  # a request ends its object alone
        if self.seen.asked or self.seen.kubelet_deletes or self.seen.gone:
            return True
        return self.seen.pod.deleted if self.seen.pod else None

    @property
    def _ended(self) -> bool | None:
        seen, pod = self.seen, self.seen.pod
        if pod:
            return seen.own_end and not pod.deleted and pod.phase in PHASES
        removed = seen.gone or seen.removal is not None
        containers = seen.containers_ended or bool(seen.kubelet_deletes) or seen.own_end
        return True if removed and (containers or seen.bound is False) else None

    @property
    def _beginning_known(self) -> bool:
        """Whether it begins with what began it, and not only with what is left of it.

        The kubelet begins the end of a static pod, and of one whose containers have ended. An
        object whose grace period is 0 may tell the kubelet's own request, which ends it.
        """
        seen = self.seen
        if self._begun_by == OBJECT and seen.pod:
            return bool(seen.pod.grace) or not seen.pod.node
        if self._begun_by != KUBELET:
            return True
        own = seen.own_end or seen.static
        return own and bool(seen.terminating)

    @property
    def _end_known(self) -> bool:
        """Whether the last of what ended it has a span."""
        if self.seen.pod or self.seen.static:
            return bool(self.seen.terminated)
        if self.seen.removal is not None:
            return True
        return bool(self.seen.kubelet_deletes) and not self._held_without_end

    @property
    def _held_without_end(self) -> bool:
        """Whether the object outlived the kubelet's last request, and no span tells its removal."""
        seen = self.seen
        held = seen.kubelet_deletes and seen.kubelet_deletes[-1].removed is False
        return bool(held) and seen.removal is None and seen.pod is None

    # --- what -------------------------------------------------------------------------------------

    @cached_property
    def _containers(self) -> list[ContainerEnd]:
        found = [_container_end(stop) for stop in self.seen.stops]
        named = {end.name for end in found}
        pod = self.seen.pod
        for container in pod.containers if pod else ():
            if container.started and container.name not in named:
                code = container.exit_code
                found.append(
                    ContainerEnd(
                        container.name,
                        container.kind,
                        exit_code=code,
                        reason=container.reason if code is not None else "",
                    )
                )
        return found

    def _missing_spans(self) -> list[str]:
        seen = self.seen
        if seen.pod and not (seen.pod.deleted or seen.own_end):
            return []
        missing = []
        if self._deleted and not seen.asked and not seen.static:
            missing.append("the span of the request that deleted it: who asked for it is not known")
        if self._ended and not self._on_node and not seen.own_end and seen.bound:
            missing.append("spans of the kubelet: Jaeger has none of this ending")
        silent = [stop.name or "a container" for stop in seen.stops if not stop.call.below]
        if silent:
            missing.append(f"the runtime's spans of the stop of {', '.join(dict.fromkeys(silent))}")
        return missing

    def _notes(self) -> Iterable[str]:
        seen = self.seen
        yield from seen.spans.limits
        if self._begun_by == OBJECT:
            yield _TO_THE_SECOND
        if seen.pod and seen.pod.mirror:
            yield (
                "it stands for a static pod: the kubelet makes the object again, and ends the pod "
                "when its file is removed"
            )
        elif seen.static:
            yield (
                "it is a static pod, which its kubelet ends by itself, as when its file is removed "
                "or changed"
            )
        for write in seen.asked[1:]:
            after = (write.request.span.start - seen.asked[0].request.span.start) / SECOND
            yield f"{write.how} again after {after:.1f} s by {write.client}"
        yield from self._of_removal()
        if self._offset < 0:
            yield (
                f"the node's clock is at least {-self._offset / 1000:.0f} ms ahead of the API "
                "server's: the node's steps are placed before the kubelet's delete request"
            )
        if self._offset > 0:
            yield (
                f"the node's clock is at least {self._offset / 1000:.0f} ms behind the API "
                "server's: the node's steps are placed after the request that caused them"
            )
        if seen.syncs and all(len(trace.spans) == 1 for trace in seen.terminating):
            yield _NO_CALLS
        if seen.pod is None and (silent := seen.before_first_stop) >= _NOTICED:
            yield (
                f"nothing is traced for {silent / SECOND:.2f} s before the first stop: a preStop "
                "handler that is no command has no span"
            )
        for name in seen.failed_hooks(self._begin) if self._begin else ():
            yield f"the preStop handler of {name} failed, as an Event says"
        for end in self._containers:
            if end.how == "" and end.stop_ms is not None and end.stop_ms >= _LONG:
                yield (
                    f"whether {end.name or 'a container'} had to be killed is not known: no span "
                    "of the runtime tells of its signals"
                )
            if end.reason == "OOMKilled":
                yield f"{end.name} was killed for want of memory, whoever asked for its end"

    def _of_removal(self) -> Iterable[str]:
        """What was special about the removal of the object."""
        seen, removal = self.seen, self.seen.removal
        if seen.own_end and seen.asked:
            yield "its containers had ended before anybody asked for that"
            return
        if self._held_without_end:
            yield "finalizers held it after the kubelet's request: when it went is not known"
        if removal is None or removal.kubelet or not removal.how:
            return
        if self._on_node:
            went_on = (self._on_node[-1].end + self._offset - removal.request.span.end) / SECOND
            if went_on > 0:
                yield (
                    "it was deleted by force (grace period 0): its object was gone at once, the "
                    f"kubelet went on with it for {went_on:.1f} s"
                )
        elif seen.bound:
            yield (
                "its object was removed at once, as by force or after its containers had ended: "
                "Jaeger has nothing of its end on the node"
            )
        elif self._ended:
            yield "nothing bound it to a node: the request removed it at once"

    def _trace_ids(self) -> Iterable[str]:
        seen = self.seen
        writes = [*seen.asked, *seen.kubelet_deletes, *filter(None, [seen.removal])]
        yield from (write.request.span.trace_id for write in writes[:1])
        yield from (trace.id for trace in seen.terminating)
        yield from (span.trace_id for span in seen.terminated)
        yield from (write.request.span.trace_id for write in writes)


def _container_end(stop: Stop) -> ContainerEnd:
    container = stop.container
    return ContainerEnd(
        stop.name,
        container.kind if container else "",
        stop.how,
        stop_ms=stop.call.span.duration / 1000,
        resisted_ms=None if stop.resisted is None else stop.resisted / 1000,
        pre_stop_ms=stop.pre_stop.span.duration / 1000 if stop.pre_stop else None,
        exit_code=stop.exit_code,
        reason=container.reason if container and stop.exit_code is not None else "",
    )


def _disruption(pod: Pod | None) -> str:
    found = pod.condition(DISRUPTION) if pod else None
    if found is None or not found.status:
        return ""
    return ": ".join(filter(None, (found.reason, found.message)))


def _moment(microseconds: int) -> datetime:
    return progress.at(microseconds) or datetime.fromtimestamp(0, tz=UTC)
