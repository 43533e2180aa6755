"""What followed for the objects that a command touched: its requests' traces and its pods."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from ktrace.components import APISERVER, KUBELET
from ktrace.following.owners import Owners, PodInfo
from ktrace.jaeger import Jaeger, Trace
from ktrace.podstart.calls import has_calls
from ktrace.podstart.model import PodStart
from ktrace.podstart.search import look_for_start
from ktrace.recording.requests import Seen

_POLL_SECONDS = 0.7
_QUIET_SECONDS = 2.5
"""Nothing new for this long: more than an exporter's delay, and than a controller takes to act."""
_READ_SECONDS = 2.0
"""After the time to follow is up, for what has not been read yet."""
_END = "syncTerminatingPod"

T = TypeVar("T")


@dataclass(frozen=True)
class PodWork:
    """What kubelet and containerd did for one pod since the command began."""

    namespace: str
    name: str
    uid: str
    phase: str
    """The last one seen; empty for a pod that was never seen."""
    traces: tuple[Trace, ...] = field(repr=False)
    start: PodStart | None = field(default=None, repr=False)

    @property
    def services(self) -> list[str]:
        return sorted({service for trace in self.traces for service in trace.counts})

    @property
    def errors(self) -> list[str]:
        """What failed in its start, each once."""
        steps = self.start.steps if self.start else ()
        return list(dict.fromkeys(f"{step.name}: {step.error}" for step in steps if step.error))

    @property
    def duration_ms(self) -> float | None:
        """From the first span's start to the last one's end; None while there is no span."""
        spans = [span for trace in self.traces for span in trace.spans]
        if not spans:
            return None
        return (max(span.end for span in spans) - min(span.start for span in spans)) / 1000

    @property
    def longest(self) -> Trace | None:
        return max(self.traces, key=lambda trace: len(trace.spans), default=None)


@dataclass(frozen=True)
class Touched:
    """The objects that were written: uids, namespace and name of pods, deleted namespaces."""

    uids: frozenset[str] = frozenset()
    pods: frozenset[tuple[str, str]] = frozenset()
    namespaces: frozenset[str] = frozenset()

    def has(self, pod: PodInfo) -> bool:
        return (
            bool(self.uids & {pod.uid, *pod.owners})
            or (pod.namespace, pod.name) in self.pods
            or pod.namespace in self.namespaces
        )


def touched(requests: Iterable[Seen]) -> Touched:
    written = [
        seen.request for seen in requests if seen.request.writes and 200 <= seen.status < 300
    ]
    return Touched(
        frozenset(each.uid for each in written if each.uid),
        frozenset(
            (each.namespace, each.name)
            for each in written
            if each.resource.partition("/")[0] == "pods" and each.name
        ),
        frozenset(
            each.name for each in written if (each.verb, each.resource) == ("delete", "namespaces")
        ),
    )


@dataclass(frozen=True)
class Followed:
    """``traces`` of requests by Audit-Id; ``quiet``: nothing more was coming when it ended."""

    pods: list[PodWork]
    traces: dict[str, Trace]
    quiet: bool


class Follower:
    """Looks at what came of ``requests``; ``found`` is what it knows at any time."""

    def __init__(
        self, jaeger: Jaeger, owners: Owners, requests: Sequence[Seen], since: float
    ) -> None:
        self._jaeger = jaeger
        self._owners = owners
        self._since = int(since * 1_000_000)
        writes_first = sorted(requests, key=lambda seen: not seen.request.writes)
        self._ids = [each.audit_id for each in writes_first if each.audit_id]
        self._touched = touched(requests)
        self._traces: dict[str, Trace] = {}
        self._work: dict[str, PodWork] = {}
        self._quiet = False

    @property
    def found(self) -> Followed:
        pods = sorted(self._work.values(), key=lambda each: (each.namespace, each.name))
        return Followed(pods, self._traces, self._quiet)

    def follow(self, seconds: float) -> None:
        """Until nothing is new for ``_QUIET_SECONDS`` and no pod is starting or ending."""
        deadline = time.monotonic() + seconds
        last = deadline + _READ_SECONDS
        before, quiet_from = self._known(), time.monotonic()
        while True:
            settled = self._look(last)
            if (now := self._known()) != before:
                before, quiet_from = now, time.monotonic()
            self._quiet = settled and time.monotonic() - quiet_from >= _QUIET_SECONDS
            if self._quiet or time.monotonic() >= deadline:
                break
            time.sleep(min(_POLL_SECONDS, max(0.0, deadline - time.monotonic())))
        self._take_starts_apart(last)

    def _known(self) -> object:
        pods = {
            key: (each.phase, sum(len(trace.spans) for trace in each.traces))
            for key, each in self._work.items()
        }
        return pods, len(self._traces)

    def _look(self, last: float) -> bool:
        """Whether every pod that is there is settled."""
        self._owners.look()
        mine = self._pods()
        for pod in _until(last, mine):
            traces = self._traces_of(pod)
            waits = self._owners.is_there(pod) and pod.phase == "Pending"
            if traces or waits or self._owners.is_new(pod):
                key = pod.uid or f"{pod.namespace}/{pod.name}"
                self._work[key] = PodWork(pod.namespace, pod.name, pod.uid, pod.phase, traces)
        for audit_id in _until(last, [each for each in self._ids if each not in self._traces]):
            found = self._jaeger.find(
                APISERVER, tags={"audit-id": audit_id}, start=self._since - 1_000_000, limit=1
            )
            if found:
                self._traces[audit_id] = found[0]
        return all(pod.settled for pod in mine if self._owners.is_there(pod))

    def _pods(self) -> list[PodInfo]:
        """Those of the touched objects, and those that only a request has named."""
        known = [pod for pod in self._owners.pods.values() if self._touched.has(pod)]
        named = {(pod.namespace, pod.name) for pod in known}
        return known + [PodInfo(*each) for each in sorted(self._touched.pods - named)]

    def _traces_of(self, pod: PodInfo) -> tuple[Trace, ...]:
        """Empty where the kubelet has only looked at the pod since the command began."""
        found = {
            trace.id: trace
            for operation in ("syncPod", _END)
            for trace in self._jaeger.find(
                KUBELET,
                operation,
                tags={"k8s.pod": f"{pod.namespace}/{pod.name}"},
                start=self._since,
                limit=100,
            )
        }
        return tuple(
            trace
            for trace in found.values()
            if _is_of(trace, pod) and (has_calls(trace) or _ends(trace))
        )

    def _take_starts_apart(self, last: float) -> None:
        for key, work in _until(last, list(self._work.items())):
            if any(map(has_calls, work.traces)):
                start = look_for_start(self._jaeger, work.namespace, work.name, work.uid or None)
                self._work[key] = replace(work, start=start)


def _until(last: float, items: Iterable[T]) -> Iterator[T]:
    """As many of ``items`` as there is time for."""
    return itertools.takewhile(lambda _: time.monotonic() < last, items)


def _is_of(trace: Trace, pod: PodInfo) -> bool:
    """Not another's that had the same name."""
    uids = {span.tags["k8s.pod.uid"] for span in trace.spans if "k8s.pod.uid" in span.tags}
    return not uids or not pod.uid or pod.uid in uids


def _ends(trace: Trace) -> bool:
    return any(span.operation == _END for span in trace.spans)
