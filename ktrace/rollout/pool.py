"""Reads the traces of many pods with few searches, and answers from these the searches for each."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ktrace.components import APISERVER, CONTAINERD, KUBELET
from ktrace.jaeger import Jaeger, Reader, Trace, paging
from ktrace.jaeger.search import Search
from ktrace.podend.stops import TERMINATED, TERMINATING
from ktrace.podstart.calls import CREATE, SYNC
from ktrace.podstart.pod_spans import FIRST_SYNC, POD

_CONTAINER = "container.id"
_MOST = 20_000
FEW = 8
"""Pods that are searched for one by one."""
_MOMENT = 5_000_000
"""In microseconds."""
_SAMPLE = 50
"""Syncs of a moment, which show whose the others are."""
_SHARE = 0.5
"""How much of what is read at once must be of the wanted pods: with less, a search for each is as
quick. A search costs as much as reading four traces, and finds about as many."""
_MOST_SYNCS, _MOST_REQUESTS = 10, 60
"""Traces for each pod that are read at once: if there are more, the sample was of a rare moment."""
_OF_A_POD = "/api/v1/namespaces/{:namespace}/pods/{:name}"
"""In the operation of a request since Kubernetes 1.31."""
_UNNAMED = "KubernetesAPI"
"""The operation of all requests before."""
_DEBUGGING = "/ephemeralcontainers"
"""The end of such a request's URL, and of its operation since 1.31."""
_KEYS = (POD, "key", "url", _CONTAINER)
"""Tags by which a pod's spans are searched for."""

Period = tuple[int, int]
"""From when to when, both included, in microseconds since the Unix epoch."""


@dataclass(frozen=True)
class _What:
    service: str
    operation: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Kind:
    """What is read of many pods at once, and how it is searched for of one."""

    what: _What
    key: str
    """The tag that such a search has, with the pod in its value."""
    also: Mapping[str, str] = field(default_factory=dict)
    """Tags that it has besides."""
    within: str = ""
    """What the value of ``key`` has in it."""
    names_operation: bool = True
    """Whether it names the operation, too."""

    def answers(self, service: str, operation: str, tags: Mapping[str, str]) -> bool:
        named = self.what.operation if self.names_operation else ""
        return (
            (service, operation) == (self.what.service, named)
            and self.within in tags.get(self.key, "")
            and set(tags) == {self.key, *self.also}
            and self.also.items() <= tags.items()
        )


_FIRST = _Kind(_What(KUBELET, SYNC, FIRST_SYNC), POD, FIRST_SYNC)
_CREATION = _Kind(_What(APISERVER, "Create etcd3", {"resource": "pods"}), "key", within="/pods/")
_CONTAINERS = _Kind(_What(CONTAINERD, f"runtime.v1.RuntimeService/{CREATE}"), _CONTAINER)
_BINDING, _STATUS = (
    _Kind(_What(APISERVER, f"{verb} {_OF_A_POD}{of}"), "url", within=of, names_operation=False)
    for verb, of in (("POST", "/binding"), ("PATCH", "/status"))
)


class Pool(Reader):
    """A Reader that has read the pods' traces of some periods.

    What it has found in them it does not search for again. That it has found nothing counts where
    all of a kind was read: an API server of old names its spans otherwise.
    """

    def __init__(self, jaeger: Jaeger) -> None:
        super().__init__(jaeger)
        self._by_tag: dict[tuple[str, str, str], dict[str, Trace]] = {}
        self._periods: list[Period] = []
        self._whole: list[tuple[_Kind, int]] = []
        """What was read of all pods, and since when, in microseconds."""
        self._seen: list[str] = []
        self._no_debugging = False
        """Whether Jaeger has no request for an ephemeral container."""
        self.limit = ""
        """What was too much to read at all, in words."""

    def read(
        self, periods: Iterable[Period], pods: Mapping[str, int], end: int, namespace: str = ""
    ) -> None:
        """Reads what began in ``periods``: all ends, and of ``pods`` their starts, until ``end``.

        ``pods`` are NAMESPACE/NAME with when they were created. Their starts are not read where
        each can be searched for by itself as quickly: of few pods, and of some among many others.
        ``namespace`` is theirs, empty if they are of several. Raises JaegerError.
        """
        self._by_tag, self._periods, self._whole = {}, [], []
        merged_periods = merged(periods)
        ends = (
            self._read(_What(KUBELET, operation), merged_periods, _MOST)
            for operation in (TERMINATING, TERMINATED)
        )
        unread = None in list(ends)
        self.limit = (
            f"the ends of pods: they are more than {_MOST:,} at that time" if unread else ""
        )
        if len(pods) <= FEW:
            return
        self._seen = self._seen or self._sample(sorted(pods.values())[len(pods) // 2])
        since = merged_periods[0][0]
        if _are_most(pods, self._seen):
            most = _MOST_SYNCS * len(pods)
            if self._read(_What(KUBELET, SYNC), merged_periods, most) is not None:
                self._periods = merged_periods
            self._read_kind(_FIRST, since, end, most)
        near = [pod for pod in self._seen if not namespace or pod.startswith(f"{namespace}/")]
        if _are_most(pods, near):
            most = _MOST_REQUESTS * len(pods)
            if self._names_of_requests(since):
                for kind in (_CREATION, _BINDING, _STATUS):
                    self._read_kind(kind, since, end, most)
            else:
                place = {"namespace": namespace} if namespace else {}
                what = _What(APISERVER, tags={"resource": "pods", **place})
                self._read(what, merged_periods, most)

    def _sample(self, at: int) -> list[str]:
        """The pods of some syncs that began soon after ``at``."""
        traces = self.jaeger.find(KUBELET, SYNC, start=at, end=at + _MOMENT, limit=_SAMPLE)
        return [
            str(span.tags.get(POD, ""))
            for trace in traces
            for span in trace.spans
            if span.operation == SYNC
        ]

    def _read(self, what: _What, periods: Sequence[Period], most: int) -> int | None:
        """How many traces there are; None if they are more than ``most``, and then not kept."""
        found: list[Trace] = []
        for start, end in periods:
            traces, whole = super().find_all(
                what.service, what.operation, tags=what.tags, start=start, end=end, most=most
            )
            if not whole or len(traces) > most:
                return None
            found += traces
        self._add(found)
        return len(found)

    def read_beginnings(self, end: int) -> None:
        """Reads, until ``end``, how all pods began that Jaeger still knows. Raises JaegerError.

        For many pods that have ended: each would be searched for by itself else.
        """
        for kind in (_FIRST, _CREATION, _CONTAINERS):
            self._read_kind(kind, 0, end, _MOST)

    def read_starts(self, number: int, since: int, end: int) -> None:
        """Reads, until ``end``, what tells the starts of ``number`` pods without their objects.

        ``since`` is when the first of them began, in microseconds since the Unix epoch.

        What is too much to read, or has other names in an API server of old, is searched for by
        itself later. Raises JaegerError.
        """
        if number <= FEW:
            return
        every = [(0, end)]
        if self._read(_What(KUBELET, SYNC), every, _MOST_SYNCS * number) is not None:
            self._periods = every
        self._read_kind(_CREATION, 0, end, _MOST)
        if names := self._names_of_requests(since):
            self._read_kind(_BINDING, 0, end, _MOST)
            self._no_debugging = not any(name.endswith(_DEBUGGING) for name in names)

    def _names_of_requests(self, since: int) -> list[str]:
        """The API server's operations; empty where those of requests do not tell what they are."""
        operations = self.jaeger.operations(APISERVER, since) or []
        named = _BINDING.what.operation in operations and _UNNAMED not in operations
        return operations if named else []

    def _read_kind(self, kind: _Kind, since: int, end: int, most: int) -> None:
        what = kind.what
        traces, whole = super().find_all(
            what.service, what.operation, tags=what.tags, start=since, end=end, most=most
        )
        if whole and (traces or self._is_told(kind, since, end)):
            self._whole.append((kind, since))
            self._add(traces)

    def _is_told(self, kind: _Kind, since: int, end: int) -> bool:
        """Whether all spans with the operation have the tags of ``kind``: those of old have not."""
        what = kind.what
        if not what.tags:
            return not kind.names_operation  # the operation is what tells it
        traces = self.jaeger.find(what.service, what.operation, start=since, end=end, limit=_SAMPLE)
        search = Search(what.service, what.operation)
        spans = (span for trace in traces for span in search.matching(trace))
        return all({kind.key, *what.tags} <= span.tags.keys() for span in spans)

    def named(self, operation: str) -> list[Trace]:
        """The kubelet's traces with ``operation`` that were read, each once."""
        found = {
            trace.id: trace
            for (service, key, _), traces in self._by_tag.items()
            if service == KUBELET and key == POD
            for trace in traces.values()
            if any(span.operation == operation for span in trace.spans)
        }
        return list(found.values())

    def find_all(
        self,
        service: str,
        operation: str = "",
        *,
        tags: Mapping[str, str] | None = None,
        start: int,
        end: int,
        most: int,
    ) -> tuple[list[Trace], bool]:
        tags = tags or {}
        found = self.known(service, tags, start, end, operation)
        if (
            found
            or (
                service == KUBELET
                and operation == SYNC
                and POD in tags
                and any(begin <= start and end <= until for begin, until in self._periods)
            )
            or any(
                since <= start and kind.answers(service, operation, tags)
                for kind, since in self._whole
            )
            or (self._no_debugging and tags.get("url", "").endswith(_DEBUGGING))
        ):
            return found, True
        return super().find_all(service, operation, tags=tags, start=start, end=end, most=most)

    def known(
        self, service: str, tags: Mapping[str, str], start: int, end: int, operation: str = ""
    ) -> list[Trace]:
        """What has been read of a search."""
        key = next((key for key in _KEYS if key in tags), None)
        if key is None:
            return []
        search = Search(service, operation, tags)
        return [
            trace
            for trace in self._by_tag.get((service, key, tags[key]), {}).values()
            if any(start <= span.start <= end for span in search.matching(trace))
        ]

    def _add(self, traces: Sequence[Trace]) -> None:
        for trace in traces:
            for span in trace.spans:
                for key in _KEYS:
                    if key in span.tags:
                        held = self._by_tag.setdefault((span.service, key, str(span.tags[key])), {})
                        if held.get(trace.id) is not trace:
                            paging.add(held, [trace])


def _are_most(pods: Collection[str], seen: Sequence[str]) -> bool:
    return sum(pod in pods for pod in seen) >= _SHARE * len(seen)


def merged(periods: Iterable[Period]) -> list[Period]:
    """Without overlaps, ordered by time."""
    found: list[Period] = []
    for start, end in sorted(periods):
        if found and start <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((start, end))
    return found
