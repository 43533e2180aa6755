"""Finds the spans of a pod's ending in Jaeger."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from ktrace.components import CONTAINERD, KUBELET
from ktrace.jaeger import Span, Trace, origin
from ktrace.podend.model import Spans, Write
from ktrace.podend.stops import STOP, TERMINATED, TERMINATING, calls_in, hooks_in, sync_of
from ktrace.podend.writes import writes_of
from ktrace.podstart.calls import CREATE, SYNC, Call
from ktrace.podstart.pod import SECOND
from ktrace.podstart.pod_spans import ETCD_PREFIXES, FIRST_SYNC, POD, POD_UID, PodSpans

_SKEW = 60 * SECOND
"""More than a node's clock may be behind the API server's."""
_RUNTIME = "runtime.v1.RuntimeService"
_CREATION = "Create etcd3"
_UPDATE = "GuaranteedUpdate etcd3"


class PodEndSpans(PodSpans):
    """One look at Jaeger for the ending of a pod; ``pod`` is its object, if that is known."""

    def ending(self, uid: str = "") -> Spans:
        """What belongs to the pod of ``uid``, or to the newest of its name that Jaeger knows."""
        uids = self._pod.uids if self._pod else (uid,) if uid else ()
        self._choose_stack(uids)
        terminating = self._of_pod(TERMINATING, uids)
        terminated = self._of_pod(TERMINATED, uids)
        ends = sorted(
            (span for trace in (*terminating, *terminated) for span in _syncs(trace)),
            key=lambda span: span.start,
        )
        begun, created = self._began(), self._creations()
        wanted_syncs = [span for span in begun if not uids or _uid(span) in uids]
        first = max(wanted_syncs, key=_start, default=None)
        if not uids:
            newest = max([*ends[-1:], *filter(None, [first])], key=_start, default=None)
            own = _creation_of(newest, begun, created)
            later = newest is None or any(
                at > newest.end and (own is None or at > own) for at in created
            )
            wanted = "" if later or newest is None else str(newest.tags.get(POD_UID, ""))
            terminating = [trace for trace in terminating if wanted and _is_of(trace, wanted)]
            terminated = [trace for trace in terminated if wanted and _is_of(trace, wanted)]
            first = first if first and str(first.tags.get(POD_UID, "")) == wanted else None
            ends = [span for span in ends if wanted and span.tags.get(POD_UID) == wanted]
        known = [*filter(None, [first]), *ends]
        if known:
            self._client.narrow(origin.of(known[0]))
        earliest = min(known, key=_start, default=None)
        begin, end = self._period(
            created,
            earliest.start if earliest else None,
            _creation_of(earliest, begun, created),
        )
        writes = [
            write
            for write in self._writes(begin or 0)
            if end is None or write.request.span.start < end
        ]
        if not terminating and self._pod and self._pod.deleted:
            terminating = self._running_stops()
        return Spans(
            terminating,
            terminated,
            writes,
            self._names(terminating),
            created=begin is not None,
            seen_by_kubelet=first is not None,
            limits=tuple(dict.fromkeys(self._limits)),
        )

    def last_ended(self, besides: Collection[str]) -> str:
        """The uid of the pod of the name that a kubelet ended last; empty if it ended none."""
        traces = (*self._of_pod(TERMINATING, ()), *self._of_pod(TERMINATED, ()))
        spans = sorted((span for trace in traces for span in _syncs(trace)), key=_start)
        uids = [str(span.tags.get(POD_UID, "")) for span in spans]
        return next((uid for uid in reversed(uids) if uid and uid not in besides), "")

    # --- the kubelet ------------------------------------------------------------------------------

    def _of_pod(self, operation: str, uids: Sequence[str]) -> list[Trace]:
        """The traces of ``operation``: of the pod of one of ``uids``, or of all of its name."""
        what = f"of the kubelet's traces of the ends of pods named {self._key}"
        traces = self._all(what, KUBELET, operation, tags={POD: self._key})
        return [trace for trace in traces if not uids or any(_is_of(trace, uid) for uid in uids)]

    def _began(self) -> list[Span]:
        """The syncPods in which a kubelet first saw a pod of the name."""
        what = f"of the kubelet's traces of pods named {self._key}"
        traces = self._all(what, KUBELET, SYNC, tags={POD: self._key, **FIRST_SYNC})
        return [span for trace in traces for span in trace.spans if span.operation == SYNC]

    def _running_stops(self) -> list[Trace]:
        """Traces of a syncTerminatingPod that has not ended: of containers that have."""
        found: dict[str, Trace] = {}
        what = "of containerd's traces of this pod"
        for container in self._pod.containers if self._pod else ():
            if container.id:
                tags = {"container.id": container.id}
                traces = self._all(what, CONTAINERD, f"{_RUNTIME}/{STOP}", tags=tags)
                found |= {trace.id: trace for trace in traces if not _has_sync(trace)}
        return list(found.values())

    def _names(self, terminating: Sequence[Trace]) -> dict[str, str]:
        """Containers' names by their ids, from the calls that created them."""
        known = {found.id: found.name for found in self._pod.containers} if self._pod else {}
        calls = [c for trace in terminating for c in (*calls_in(trace, STOP), *hooks_in(trace))]
        names: dict[str, str] = {}
        for container_id in dict.fromkeys(call.container_id for call in calls):
            if not container_id or container_id in known:
                continue
            what, tags = "of containerd's traces of a container", {"container.id": container_id}
            for trace in self._all(what, CONTAINERD, f"{_RUNTIME}/{CREATE}", tags=tags):
                own = (Call(trace, span) for span in trace.spans if span.service == KUBELET)
                names |= {
                    call.container_id: call.container_name
                    for call in own
                    if call.method == CREATE and call.container_id == container_id
                }
        return {container_id: name for container_id, name in names.items() if name}

    # --- the API server ---------------------------------------------------------------------------

    def _creations(self) -> list[int]:
        """When pods of the name were created, in order."""
        for prefix in ETCD_PREFIXES:
            found = self._matches(_CREATION, {"key": f"{prefix}/pods/{self._key}"}, self._since)
            if found:
                return sorted(span.start for _, span in found)
        return []

    def _period(
        self, created: Sequence[int], known: int | None, own: int | None
    ) -> tuple[int | None, int | None]:
        """When the pod was created and when the next one of its name was; None if not known.

        ``known`` is when a kubelet is first known to have had it, ``own`` the one of ``created``
        that is known to be the pod's.
        """
        if self._pod and self._pod.created is not None:
            known = self._pod.created + SECOND
        elif own is not None:
            known = own
        before = [at for at in created if known is None or at <= known]
        begin = before[-1] if before else None
        after = [at for at in created if known is not None and at > known]
        return begin, after[0] if after else None

    def _writes(self, start: int) -> list[Write]:
        for prefix in ETCD_PREFIXES:
            tags = {"key": f"{prefix}/pods/{self._key}"}
            if found := self._matches(_UPDATE, tags, max(start, self._since)):
                return writes_of(found)
        return []


def _syncs(trace: Trace) -> list[Span]:
    return list(filter(None, (sync_of(trace, kind) for kind in (TERMINATING, TERMINATED))))


def _has_sync(trace: Trace) -> bool:
    """Whether it is of a syncTerminatingPod that has ended, or of a restart in a syncPod."""
    return bool(_syncs(trace)) or sync_of(trace, SYNC) is not None


def _is_of(trace: Trace, uid: str) -> bool:
    return any(str(span.tags.get(POD_UID, "")) == uid for span in trace.spans)


def _creation_of(span: Span | None, begun: Sequence[Span], created: Sequence[int]) -> int | None:
    """When the pod of ``span`` was created, where as many of its name were ``created`` as kubelets
    have ``begun``: the clock of a node that is behind has the latter before the former."""
    firsts: dict[str, int] = {}
    for first in begun:
        firsts[_uid(first)] = min(first.start, firsts.get(_uid(first), first.start))
    if span is None or _uid(span) not in firsts or len(firsts) != len(created):
        return None
    number = sorted(firsts.values()).index(firsts[_uid(span)])
    found = sorted(created)[number]
    return found if abs(found - firsts[_uid(span)]) <= _SKEW else None


def _uid(span: Span) -> str:
    return str(span.tags.get(POD_UID, ""))


def _start(span: Span) -> int:
    return span.start
