"""Finds a pod's start in Jaeger and in the cluster, and waits until its spans have arrived."""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from ktrace.components import APISERVER, CONTAINERD, KUBELET
from ktrace.jaeger import Jaeger, Span, Trace
from ktrace.podstart import cluster, gaps
from ktrace.podstart.build import build
from ktrace.podstart.calls import PULL, START, SYNC, all_calls, container_names, first_calls
from ktrace.podstart.cluster import FromCluster
from ktrace.podstart.model import PodStart, Pull, Request, Spans
from ktrace.podstart.pod import SECOND, Pod
from ktrace.podstart.seen import node_of

_POLL_SECONDS = 1.0
"""Longer than an exporter's delay of 500 ms: two equal results mean that nothing is on its way."""
_ARRIVAL = 60 * SECOND
"""Spans of what is older than this have arrived, or never will."""
_SKEW = 60 * SECOND
"""How far a node's clock may be behind the API server's."""
_MOST_TRACES = 20_000
_FIRST_PERIOD = 30 * 60 * SECOND
_LONGEST_PULL = 60 * 60 * SECOND
_RECENT_TRACES = 200
_ETCD_PREFIXES = ("", "/registry")
"""Before a key in the API server's spans: none since 1.31 at the latest; /registry is the default,
which k3s keeps."""
_POD = "k8s.pod"
_POD_UID = "k8s.pod.uid"
_UPDATE_TYPE = "k8s.pod.update_type"
_PULL_OPERATION = "runtime.v1.ImageService/PullImage"
_STATUS_CODES = ("http.response.status_code", "http.status_code")
_KUBELETS = ("kubelet/", "k3s/", "rke2/", "k0s/")
"""How the user agent of a kubelet begins: these distributions run it in a process of theirs."""
_STATIC_UID = re.compile(r"[0-9a-f]{32}")
"""The kubelet's hash of a static pod's manifest; the API server gives UUIDs."""
_TOO_MANY = f"more than {_MOST_TRACES} traces of the kubelet: the oldest are not read"

T = TypeVar("T")


def settled(look: Callable[[], T], complete: Callable[[T], bool], seconds: float) -> T:
    """The first result that is ``complete`` and twice the same; after ``seconds`` the last one."""
    deadline = time.monotonic() + seconds
    previous = look()
    while time.monotonic() < deadline:
        time.sleep(min(_POLL_SECONDS, max(0.0, deadline - time.monotonic())))
        current = look()
        if complete(current) and current == previous:
            return current
        previous = current
    return previous


def wait_for_start(
    jaeger: Jaeger,
    namespace: str,
    pod: str,
    seconds: float,
    kubeconfig: Path | str | None = None,
    *,
    in_progress: bool = False,
) -> PodStart | None:
    """The newest start of a pod of that name, once no span of it is missing.

    After ``seconds`` it is what has arrived by then, or None. A start that cannot go on is not
    waited for; one in progress neither, if ``in_progress``. Without ``kubeconfig`` the pod object
    is not read, and no start is known to be complete.
    """
    with cluster.connected(Path(kubeconfig) if kubeconfig else None) as api:
        return settled(
            lambda: look_for_start(jaeger, namespace, pod, known=cluster.read(api, namespace, pod)),
            lambda start: start is not None and _is_whole(start, in_progress=in_progress),
            seconds,
        )


def look_for_start(
    jaeger: Jaeger,
    namespace: str,
    pod: str,
    uid: str | None = None,
    *,
    known: FromCluster | None = None,
) -> PodStart | None:
    """The newest start of a pod of that name, or that of ``uid``, as far as Jaeger has it now.

    ``known`` is what the cluster has of it; the pod object says which of several pods is meant.
    """
    known = known or FromCluster()
    if uid and known.pod and uid not in known.pod.uids:
        known = FromCluster(missing=("the pod object: another pod has that name now",))
    uids = [uid] if uid else list(known.pod.uids) if known.pod else []
    search = _Search(jaeger, namespace, pod, known.pod)
    spans, found_uid = search.spans(uids)
    events = [event for event in known.events if event.uid in ("", found_uid, *uids)]
    now = datetime.fromtimestamp(time.time(), tz=UTC)
    missing = (*known.missing, *dict.fromkeys(search.missing))
    return build(namespace, pod, spans, known.pod, events, missing=missing, now=now)


def recent_pods(jaeger: Jaeger) -> set[str]:
    """namespace/name of the pods in the newest of the kubelet's traces."""
    traces = jaeger.find(KUBELET, SYNC, limit=_RECENT_TRACES)
    return {str(span.tags[_POD]) for trace in traces for span in trace.spans if _POD in span.tags}


def _is_whole(start: PodStart, *, in_progress: bool) -> bool:
    """Whether nothing more of ``start`` is to be waited for."""
    if start.wanted_known and start.incomplete:
        # The spans of a running sync have no parent until it has ended.
        return in_progress or any(waiting.stuck for waiting in start.waiting)
    if start.lacks_spans and start.looked_at:
        ended = start.started_at.timestamp() + start.duration_ms / 1000
        return start.looked_at.timestamp() - ended > _ARRIVAL / SECOND
    return not start.spans_without_parent


class _Search:
    """Searches Jaeger for what belongs to one pod."""

    def __init__(self, jaeger: Jaeger, namespace: str, name: str, pod: Pod | None) -> None:
        self._jaeger = jaeger
        self._namespace, self._name, self._pod = namespace, name, pod
        self._key = f"{namespace}/{name}"
        self._now = int(time.time() * SECOND)
        self.missing: list[str] = []
        """What was too much to read."""

    def spans(self, uids: Sequence[str]) -> tuple[Spans, str]:
        """The spans of the pod with one of ``uids``, or of the newest of its name; and its uid."""
        first, others = self._first_sync(uids)
        if first is None:
            running = self._running_syncs(uids)
            return self._with_requests(Spans(running), None, []), next(iter(uids), "")
        uid = str(first.tags.get(_POD_UID, ""))
        syncs = self._syncs_of(uid, first)
        if self._pod and not self._pod.complete:
            ids = {trace.id for trace in syncs}
            syncs += [trace for trace in self._running_syncs([uid]) if trace.id not in ids]
        lost = not self._begins(first)
        spans = Spans(syncs, beginning_lost=lost, other_pulls=self._other_pulls(syncs, first))
        return self._with_requests(spans, first, others), uid

    # --- the kubelet ------------------------------------------------------------------------------

    def _first_sync(self, uids: Sequence[str]) -> tuple[Span | None, list[Span]]:
        """The first syncPod of the pod, and those of other pods that had its name."""
        found = self._syncs_with({_POD: self._key})
        if uids and not any(str(span.tags.get(_POD_UID, "")) in ("", *uids) for span in found):
            # Newer pods of the name may fill the answer.
            found += [
                span for uid in uids for span in self._syncs_with({_POD: self._key, _POD_UID: uid})
            ]
        wanted = [
            span for span in found if not uids or str(span.tags.get(_POD_UID, "")) in ("", *uids)
        ]
        if not wanted:
            return None, found
        newest = max(wanted, key=lambda span: span.start)
        newest_uid = newest.tags.get(_POD_UID)
        same = [span for span in found if span.tags.get(_POD_UID) == newest_uid]
        others = [span for span in found if span.tags.get(_POD_UID) != newest_uid]
        return min(same, key=lambda span: span.start), others

    def _syncs_with(self, tags: Mapping[str, str]) -> list[Span]:
        created = self._jaeger.find(KUBELET, SYNC, tags={**tags, _UPDATE_TYPE: "create"}, limit=20)
        return _syncs(created) or _syncs(self._jaeger.find(KUBELET, SYNC, tags=tags))

    def _syncs_of(self, uid: str, first: Span) -> list[Trace]:
        """The syncs of the pod until all of its containers have started.

        A start may take hours: it is read in periods of twice the length, to the present if the
        pod object does not tell when it was complete.
        """
        found: dict[str, Trace] = {}
        begin, length = first.start - SECOND, _FIRST_PERIOD
        present = max(self._now, first.start) + _SKEW
        while begin <= present:
            end = min(begin + length, present)
            traces, whole = self._jaeger.find_all(
                KUBELET, SYNC, tags={_POD: self._key}, start=begin, end=end, most=_MOST_TRACES
            )
            found |= {trace.id: trace for trace in traces if _is_of(trace, uid)}
            if not whole:
                self.missing.append(_TOO_MANY)
            if self._pod and _shows_all(self._pod, list(found.values())):
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
                for trace in self._jaeger.find(CONTAINERD, tags={tag: value}, limit=20):
                    if not _syncs([trace]):
                        found[trace.id] = trace
        return list(found.values())

    def _begins(self, first: Span) -> bool:
        """Whether ``first`` is the kubelet's first sync, and not one after a restart of it."""
        acknowledged = self._pod.acknowledged if self._pod else None
        if acknowledged is not None:
            return first.start < acknowledged + 2 * SECOND
        return str(first.tags.get(_UPDATE_TYPE, "create")) == "create"

    def _other_pulls(self, syncs: Sequence[Trace], first: Span) -> list[Pull]:
        """Other pods' pulls on the same node that may have held a pull of this pod."""
        calls = all_calls(syncs)
        held = [
            (before.span.end, call.span.start)
            for before, call in itertools.pairwise(calls)
            if call.method == PULL
            and gaps.is_shown((call.span.start - before.span.end) / 1000, 60_000)
        ]
        if not held:
            return []
        own, node = {trace.id for trace in syncs}, node_of(first)
        traces, _ = self._jaeger.find_all(
            KUBELET,
            _PULL_OPERATION,
            start=min(begin for begin, _ in held) - _LONGEST_PULL,
            end=max(end for _, end in held),
            most=_MOST_TRACES,
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
        if first and _STATIC_UID.fullmatch(str(first.tags.get(_POD_UID, ""))):
            return spans
        earlier = [span.start for span in others if first and span.start < first.start]
        creation = self._creation(begin, max(earlier, default=0))
        binding = self._binding(creation, begin, max(earlier, default=0))
        since = creation.span.start if creation else begin or 0
        path = f"/api/v1/namespaces/{self._namespace}/pods/{self._name}"
        patches = self._matches("", {"url": f"{path}/status"}, since) if self._pod else []
        debugs = (
            [] if self._pod else self._matches("", {"url": f"{path}/ephemeralcontainers"}, since)
        )
        return Spans(
            spans.syncs,
            creation,
            binding,
            [span for _, span in patches if _is_kubelet(span)],
            [span for _, span in debugs],
            spans.other_pulls,
            spans.beginning_lost,
        )

    def _creation(self, begin: int | None, after: int) -> Request | None:
        """The request that created the pod, found by the key under which the pod was stored."""
        created = self._pod.created if self._pod else None
        for prefix in _ETCD_PREFIXES:
            tags = {"key": f"{prefix}/pods/{self._key}"}
            start = created - SECOND if created else after
            found = [
                _request_of(trace, span)
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
        path = f"/api/v1/namespaces/{self._namespace}/pods/{self._name}/binding"
        since = creation.span.start if creation else after
        found = [
            _request_of(trace, span) for trace, span in self._matches("", {"url": path}, since)
        ]
        return _cause(found, begin, since)

    def _matches(
        self, operation: str, tags: Mapping[str, str], start: int
    ) -> list[tuple[Trace, Span]]:
        """The API server's spans with ``tags``, of requests that succeeded."""
        traces = self._jaeger.find(
            APISERVER, operation, tags=tags, start=max(0, start), end=self._now + _SKEW, limit=100
        )
        return [
            (trace, span)
            for trace in traces
            for span in trace.spans
            if span.service == APISERVER
            and tags.items() <= span.tags.items()
            and _succeeded(trace.outermost(span, APISERVER))
        ]


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


def _request_of(trace: Trace, span: Span) -> Request:
    """The outermost span of the request that holds ``span``.

    The trace's longest span would not do: if the client traces itself, its trace holds several
    requests.
    """
    outermost = trace.outermost(span, APISERVER)
    return Request(outermost, trace.below(outermost))


def _succeeded(request: Span) -> bool:
    codes = [str(request.tags[tag]) for tag in _STATUS_CODES if tag in request.tags]
    return all(code < "400" for code in codes)


def _is_kubelet(span: Span) -> bool:
    agent = str(span.tags.get("user-agent", ""))
    return agent.startswith(_KUBELETS) and not agent.endswith(("/scheduler", "-controller"))


def _is_of(trace: Trace, uid: str) -> bool:
    return any(str(span.tags.get(_POD_UID, "")) == uid for span in trace.spans)


def _shows_all(pod: Pod, syncs: Sequence[Trace]) -> bool:
    """Whether spans name the start of every container of ``pod``."""
    calls = first_calls(syncs, pod)
    names = container_names(calls)
    started = {names.get(call.container_id, "") for call in calls if call.method == START}
    return bool(pod.containers) and {known.name for known in pod.containers} <= started


def _pod_in(trace: Trace) -> str:
    return next((str(span.tags[_POD]) for span in trace.spans if _POD in span.tags), "")


def _syncs(traces: Sequence[Trace]) -> list[Span]:
    return [span for trace in traces for span in trace.spans if span.operation == SYNC]
