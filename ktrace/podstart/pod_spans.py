"""Finds the spans of a pod's start in Jaeger."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from ktrace import components
from ktrace.components import APISERVER, CONTAINERD, KUBELET
from ktrace.jaeger import Jaeger, Reader, Span, Trace, origin
from ktrace.jaeger.once import Once
from ktrace.podstart import gaps
from ktrace.podstart.calls import (
    PULL,
    SANDBOX,
    START,
    SYNC,
    all_calls,
    container_names,
    first_calls,
    lacks_the_first,
)
from ktrace.podstart.model import Pull, Request, Spans
from ktrace.podstart.pod import SECOND, Pod
from ktrace.podstart.seen import node_of

POD = "k8s.pod"
_SKEW = 60 * SECOND
"""How far a node's clock may be behind the API server's."""
_LEARNS = SECOND // 10
"""After its binding a kubelet that is not busy learns of a pod within that."""
_MOST_TRACES = 20_000
"""For one search."""
_FIRST_PERIOD = 30 * 60 * SECOND
_LONGEST_PULL = 60 * 60 * SECOND
ETCD_PREFIXES = ("", "/registry")
"""Before a key in the API server's spans: none since 1.31 at the latest; /registry is the default,
which k3s keeps."""
POD_UID = "k8s.pod.uid"
_UPDATE_TYPE = "k8s.pod.update_type"
FIRST_SYNC = {_UPDATE_TYPE: "create"}
"""The tag of a syncPod in which a kubelet first sees a pod, or sees it anew after a restart."""
_PULL_OPERATION = "runtime.v1.ImageService/PullImage"
_CHANGES = ("Patch", "Update")
_STATUS_CODES = ("http.response.status_code", "http.status_code")
_STATIC_UID = re.compile(r"[0-9a-f]{32}")
"""The kubelet's hash of a static pod's manifest; the API server gives UUIDs."""


class PodSpans:
    """One look at Jaeger for what belongs to a pod; ``pod`` is its object, if that is known."""

    def __init__(
        self,
        jaeger: Jaeger | Reader,
        namespace: str,
        name: str,
        *,
        pod: Pod | None,
        now: datetime,
    ) -> None:
        self._jaeger = Once(jaeger)
        self._client = self._jaeger.client
        self._namespace, self._name, self._pod = namespace, name, pod
        self._key = f"{namespace}/{name}"
        self._path = f"/api/v1/namespaces/{namespace}/pods/{name}"
        self._present = int(now.timestamp() * SECOND) + _SKEW
        created = pod.created if pod and not pod.mirror else None
        self._since = created - _SKEW if created else 0
        """Nothing of the pod is older; without a time Jaeger looks back two days only."""
        self._limits: list[str] = []

    def found(self, uids: Sequence[str]) -> tuple[Spans, str]:
        """The spans of the pod with one of ``uids``, or of the newest of its name; and its uid."""
        spans, uid = self._found(uids)
        return replace(spans, limits=tuple(dict.fromkeys(self._limits))), uid

    def _found(self, uids: Sequence[str]) -> tuple[Spans, str]:
        self._choose_stack(uids)
        if self._since and self._present - self._since <= _FIRST_PERIOD:
            # All of a young pod's syncs will be read: each search for some of them is part of this.
            self._all("of the kubelet's traces of this pod", KUBELET, SYNC, tags={POD: self._key})
        first, others = self._first_sync(uids)
        if first is None:
            running = self._running_syncs(uids)
            return self._with_requests(Spans(running), None, []), next(iter(uids), "")
        # What else has the pod's name in another cluster is not of this pod.
        self._client.narrow(origin.of(first))
        uid = str(first.tags.get(POD_UID, ""))
        syncs = self._syncs_of(uid, first)
        if self._pod and not self._pod.complete:
            ids = {trace.id for trace in syncs}
            syncs += [trace for trace in self._running_syncs([uid]) if trace.id not in ids]
        lost = not self._begins(first, syncs) or lacks_the_first(syncs, self._pod)
        spans = Spans(syncs, beginning_lost=lost, other_pulls=self._other_pulls(syncs, first))
        return self._with_requests(spans, first, others), uid

    def _all(
        self,
        what: str,
        service: str,
        operation: str = "",
        *,
        tags: Mapping[str, str] | None = None,
        start: int | None = None,
        end: int | None = None,
    ) -> list[Trace]:
        """All traces from ``start`` to ``end``, or the newest if they are too many.

        Then the result says so; ``what`` is their name there. Times are in microseconds since the
        Unix epoch.
        """
        traces, whole = self._jaeger.find_all(
            service,
            operation,
            tags=tags,
            start=max(0, self._since if start is None else start),
            end=self._present if end is None else end,
            most=_MOST_TRACES,
        )
        if not whole:
            self._limits.append(f"only the newest {len(traces):,} {what} were read")
        return traces

    def _choose_stack(self, uids: Sequence[str]) -> None:
        """In a Jaeger of many stacks the pod's uid tells which one is meant, if it is known."""
        if self._client.shared and self._client.stack is None:
            for uid in uids:
                tags = {POD: self._key, POD_UID: uid}
                start = max(0, self._since)
                for span in _syncs(
                    self._client.find(KUBELET, SYNC, tags=tags, start=start, limit=1)
                ):
                    self._client.narrow(origin.of(span))

    # --- the kubelet ------------------------------------------------------------------------------

    def _first_sync(self, uids: Sequence[str]) -> tuple[Span | None, list[Span]]:
        """The first syncPod of the pod, and those of other pods that had its name."""
        found = self._first_syncs({POD: self._key})
        if uids and not any(str(span.tags.get(POD_UID, "")) in ("", *uids) for span in found):
            found += [
                span for uid in uids for span in self._first_syncs({POD: self._key, POD_UID: uid})
            ]
        wanted = [
            span for span in found if not uids or str(span.tags.get(POD_UID, "")) in ("", *uids)
        ]
        if not wanted:
            return None, found
        newest = max(wanted, key=lambda span: span.start)
        newest_uid = newest.tags.get(POD_UID)
        same = [span for span in found if span.tags.get(POD_UID) == newest_uid]
        others = [span for span in found if span.tags.get(POD_UID) != newest_uid]
        first = min(same, key=lambda span: span.start)
        return self._before(first) or first, others

    def _first_syncs(self, tags: Mapping[str, str]) -> list[Span]:
        """Those in which a kubelet first saw a pod; all syncs where Jaeger has none of these."""
        what = f"of the kubelet's traces of pods named {self._key}"
        created = self._all(what, KUBELET, SYNC, tags={**tags, **FIRST_SYNC})
        return _syncs(created) or _syncs(self._all(what, KUBELET, SYNC, tags=tags))

    def _before(self, first: Span) -> Span | None:
        """The pod's oldest sync before ``first``: a kubelet that was restarted sees it anew."""
        if not (uid := str(first.tags.get(POD_UID, ""))):
            return None
        what = "of the kubelet's traces of this pod"
        tags = {POD: self._key, POD_UID: uid}
        earlier = _syncs(self._all(what, KUBELET, SYNC, tags=tags, end=first.start - 1))
        own = [span for span in earlier if str(span.tags.get(POD_UID, "")) == uid]
        own = [span for span in own if span.start < first.start]
        return min(own, key=lambda span: span.start, default=None)

    def _syncs_of(self, uid: str, first: Span) -> list[Trace]:
        """The syncs of the pod until all of its containers have started.

        A start may take hours: it is read in periods of twice the length, to the present if the
        pod object does not tell when it was complete.
        """
        found: dict[str, Trace] = {}
        begin, length = first.start - SECOND, _FIRST_PERIOD
        present = max(self._present, first.start + _SKEW)
        what = "of the kubelet's traces of this pod"
        while begin <= present:
            end = min(begin + length, present)
            traces = self._all(what, KUBELET, SYNC, tags={POD: self._key}, start=begin, end=end)
            own = {trace.id: trace for trace in traces if _is_of(trace, uid)}
            found |= own
            if own and self._pod and _shows_all(self._pod, list(found.values())):
                break
            begin, length = end + 1, length * 2
        return list(found.values())

    def _running_syncs(self, uids: Sequence[str]) -> list[Trace]:
        """Traces of a syncPod that has not ended, and so has no span: containerd names the pod."""
        found: dict[str, Trace] = {}
        for uid in uids:
            owner = f"{self._name}_{self._namespace}_{uid}_0"
            names = [
                f"{known.name}_{owner}" for known in (self._pod.containers if self._pod else ())
            ]
            searches = [("sandbox.name", owner), *(("container.name", name) for name in names)]
            for tag, value in searches:
                what = "of containerd's traces of this pod"
                for trace in self._all(what, CONTAINERD, tags={tag: value}):
                    if not _syncs([trace]):
                        found[trace.id] = trace
        return list(found.values())

    def _begins(self, first: Span, syncs: Iterable[Trace]) -> bool:
        """Whether ``first`` is the kubelet's first sync, and not one after a restart of it.

        The first one is an update where the pod is changed before its worker has begun (kubelet's
        pod_workers.go keeps the newest of what waits): then its making the sandbox tells it.
        """
        created = str(first.tags.get(_UPDATE_TYPE, "create")) == "create"
        acknowledged = self._pod.acknowledged if self._pod else None
        if acknowledged is None:
            return created
        calls = all_calls(trace for trace in syncs if trace.id == first.trace_id)
        begun = created or bool(calls and calls[0].method == SANDBOX)
        return begun and first.start < acknowledged + 2 * SECOND

    def _other_pulls(self, syncs: Sequence[Trace], first: Span) -> list[Pull]:
        """Other pods' pulls on the same node that may have held a pull of this pod."""
        calls = all_calls(syncs)
        held = [
            time
            for before, call in itertools.pairwise(calls)
            if call.method == PULL and (time := gaps.may_be_held(call, before.span.end, 60_000))
        ]
        if not held:
            return []
        own, node = {trace.id for trace in syncs}, node_of(first)
        traces = self._all(
            "of the pulls of other pods on all nodes",
            KUBELET,
            _PULL_OPERATION,
            start=min(begin for begin, _ in held) - _LONGEST_PULL,
            end=max(end for _, end in held),
        )
        return [
            Pull(call.span.start, call.span.end, call.image, _pod_in(trace))
            for trace in traces
            if trace.id not in own
            for call in all_calls([trace])
            if call.method == PULL and node_of(call.span) == node
        ]

    # --- the API server ---------------------------------------------------------------------------

    def _with_requests(self, spans: Spans, first: Span | None, others: Sequence[Span]) -> Spans:
        """``spans`` with the requests about the pod."""
        calls = all_calls(spans.syncs)
        begin = first.start if first else min((call.span.start for call in calls), default=None)
        begin = None if spans.beginning_lost and self._pod is None else begin
        if self._pod and self._pod.mirror:
            return spans
        if first and _STATIC_UID.fullmatch(str(first.tags.get(POD_UID, ""))):
            return spans
        earlier = [span.start for span in others if first and span.start < first.start]
        created = self._pod.created if self._pod else None
        after = max(earlier, default=0) if created is None else created - SECOND
        creation = self._creation(begin, after)
        binding = self._binding(creation, begin, after)
        since = creation.span.start if creation else begin or 0
        path = self._path
        told = self._pod is not None or _may_be_ahead(first, binding or creation)
        patches = self._matches("", {"url": f"{path}/status"}, since) if told else []
        debugs = (
            [] if self._pod else self._matches("", {"url": f"{path}/ephemeralcontainers"}, since)
        )
        return Spans(
            spans.syncs,
            creation,
            binding,
            self._changes(creation, binding),
            [span for _, span in patches if _is_kubelet(span)],
            [span for _, span in debugs],
            spans.other_pulls,
            spans.beginning_lost,
        )

    def _creation(self, begin: int | None, after: int) -> Request | None:
        """The request that created the pod, found by the key under which the pod was stored."""
        created = self._pod.created if self._pod else None
        for prefix in ETCD_PREFIXES:
            tags = {"key": f"{prefix}/pods/{self._key}"}
            start = created - SECOND if created else after
            found = [
                request_of(trace, span)
                for trace, span in self._matches("Create etcd3", tags, start)
            ]
            if created:
                found = [
                    request
                    for request in found
                    if request.span.start < created + SECOND and request.span.end >= created
                ]
            if request := _cause(found, begin, after):
                return request
        return None

    def _binding(self, creation: Request | None, begin: int | None, after: int) -> Request | None:
        tags = {"url": f"{self._path}/binding"}
        since = creation.span.start if creation else after
        found = [request_of(trace, span) for trace, span in self._matches("", tags, since)]
        return _cause(found, begin, since)

    def _changes(self, creation: Request | None, binding: Request | None) -> list[Span]:
        """Of a pod that was bound long after its creation, or is not bound yet: one of them may
        have opened a gate."""
        if not creation or not (binding or (self._pod and self._pod.waits_for_scheduler)):
            return []
        if binding and binding.span.start - creation.span.end < SECOND:
            return []
        found = self._matches("", {"url": self._path}, creation.span.end)
        own = (span for _, span in found if span.operation in _CHANGES)
        return [span for span in own if not binding or span.start < binding.span.start]

    def _matches(
        self, operation: str, tags: Mapping[str, str], start: int
    ) -> list[tuple[Trace, Span]]:
        """The API server's spans with ``tags``, of requests that succeeded."""
        what = f"of the API server's traces with {' and '.join(tags.values())}"
        start = max(start, self._since)
        traces = self._all(what, APISERVER, operation, tags=tags, start=start)
        return [
            (trace, span)
            for trace in traces
            for span in trace.spans
            if span.service == APISERVER
            and tags.items() <= span.tags.items()
            and _succeeded(trace.outermost(span, APISERVER))
        ]


def _may_be_ahead(first: Span | None, request: Request | None) -> bool:
    """Whether the kubelet, by its own clock, began later than it learns of a pod: its first report
    tells whether that is so."""
    return bool(first and request and first.start > request.span.end + _LEARNS)


def _cause(found: Sequence[Request], begin: int | None, after: int) -> Request | None:
    """The newest request that is not after ``begin``, the beginning of the kubelet's work.

    If there is none, the node's clock may be behind: the first one after it, then. Requests up to
    ``after`` are those of an earlier pod of the name.
    """
    own = [request for request in found if request.span.start >= after]
    if begin is None:
        return max(own, key=lambda request: request.span.start, default=None)
    before = [request for request in own if request.span.start <= begin]
    if before:
        return max(before, key=lambda request: request.span.start)
    late = [request for request in own if request.span.start <= begin + _SKEW]
    return min(late, key=lambda request: request.span.start, default=None)


def request_of(trace: Trace, span: Span) -> Request:
    """The outermost span of the request that holds ``span``.

    The trace's longest span would not do: if the client traces itself, its trace holds several
    requests. What a webhook asks the API server meanwhile is a request of its own.
    """
    outermost = trace.outermost(span, APISERVER)
    below = [
        other
        for other in trace.below(outermost)
        if other.service != APISERVER
        or trace.outermost(other, APISERVER).span_id == outermost.span_id
    ]
    return Request(outermost, below)


def _succeeded(request: Span) -> bool:
    codes = [str(request.tags[tag]) for tag in _STATUS_CODES if tag in request.tags]
    return all(code < "400" for code in codes)


def _is_kubelet(span: Span) -> bool:
    return components.is_kubelet(str(span.tags.get("user-agent", "")))


def _is_of(trace: Trace, uid: str) -> bool:
    return any(str(span.tags.get(POD_UID, "")) == uid for span in trace.spans)


def _shows_all(pod: Pod, syncs: Sequence[Trace]) -> bool:
    """Whether spans name the start of every container of ``pod``."""
    calls = first_calls(syncs, pod)
    names = container_names(calls)
    started = {
        names.get(call.container_id, "")
        for call in calls
        if call.method == START and not call.failed
    }
    return bool(pod.containers) and {known.name for known in pod.containers} <= started


def _pod_in(trace: Trace) -> str:
    return next((str(span.tags[POD]) for span in trace.spans if POD in span.tags), "")


def _syncs(traces: Sequence[Trace]) -> list[Span]:
    return [span for trace in traces for span in trace.spans if span.operation == SYNC]
