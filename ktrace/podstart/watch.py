"""Finds the starts of pods as they complete."""

from __future__ import annotations

import time
from dataclasses import dataclass

from ktrace.api import Api
from ktrace.components import KUBELET
from ktrace.jaeger import Jaeger, JaegerError, Reader
from ktrace.podstart import cluster
from ktrace.podstart.calls import SYNC
from ktrace.podstart.model import PodStart
from ktrace.podstart.pod import SECOND
from ktrace.podstart.pod_spans import FIRST_SYNC, POD, POD_UID
from ktrace.podstart.search import is_whole, look_for_start

_PERIOD = 600 * SECOND
"""Of what a search reads again at most."""
_MOST_TRACES = 5_000
_GIVEN_UP = 3600
"""Seconds after which a start that has not completed is no longer looked for."""
_QUICK, _LONGEST_PAUSE = 60, 30
"""Seconds: what is older than the first is looked at less often, at last with such pauses."""


@dataclass
class _Pending:
    """A pod whose start has begun."""

    namespace: str
    name: str
    uid: str
    seen: float
    reader: Reader
    next_look: float = 0
    last: PodStart | None = None


class Watch:
    """Knows the starts that began after ``since``, a Unix time in seconds."""

    def __init__(
        self, jaeger: Jaeger, api: Api | str, since: float, *, runtime_traced: bool = False
    ) -> None:
        self._jaeger, self._api = jaeger, api
        self._since = since
        self._runtime_traced = runtime_traced
        self._pending: dict[str, _Pending] = {}
        self._known: set[str] = set()
        self._reader, self._period = Reader(jaeger), int(since) * SECOND
        self.limit = ""
        """What was too much to read at the last look, in words."""

    def look(self) -> list[PodStart]:
        """The starts that have become whole since the last look, in the order of their ends.

        Without the pod object whole means that nothing more arrived for one look. Raises
        JaegerError.
        """
        self._find_new()
        now = time.time()
        found: list[PodStart] = []
        for uid, pod in list(self._pending.items()):
            if now < pod.next_look:
                continue
            try:
                start = self._start(pod)
            except JaegerError:
                if found:
                    break  # they are not found again
                raise
            if start and start.started_at.timestamp() < self._since:
                del self._pending[uid]  # a kubelet that was restarted sees its pods anew
            elif start and self._ends(start) and start == pod.last:
                found.append(start)
                del self._pending[uid]
            elif now - pod.seen > _GIVEN_UP:
                del self._pending[uid]
            else:
                pod.last = start
                age = now - pod.seen
                pod.next_look = now + (min(age / 10, _LONGEST_PAUSE) if age > _QUICK else 0)
        return sorted(found, key=_end)

    def _find_new(self) -> None:
        now = int(time.time() * SECOND)
        if now - self._period > 2 * _PERIOD:
            self._reader, self._period = Reader(self._jaeger), now - _PERIOD
        traces, complete = self._reader.find_all(
            KUBELET, SYNC, tags=FIRST_SYNC, start=self._period, end=now, most=_MOST_TRACES
        )
        most = f"only the newest {len(traces):,} first syncs of pods were read"
        self.limit = "" if complete else most
        for span in (span for trace in traces for span in trace.spans):
            namespace, _, name = str(span.tags.get(POD, "")).partition("/")
            uid = str(span.tags.get(POD_UID, ""))
            key = uid or f"{namespace}/{name}"
            if name and key not in self._known:
                self._known.add(key)
                reader = Reader(self._jaeger)
                self._pending[key] = _Pending(namespace, name, uid, time.time(), reader)

    def _start(self, pod: _Pending) -> PodStart | None:
        known = cluster.read(self._api, pod.namespace, pod.name)
        return look_for_start(
            pod.reader, pod.namespace, pod.name, pod.uid or None, known=known,
            runtime_traced=self._runtime_traced,
        )  # fmt: skip

    @staticmethod
    def _ends(start: PodStart) -> bool:
        """Whether it is complete, as far as that can be known."""
        started = start.complete or (not start.wanted_known and bool(start.started))
        return started and is_whole(start)


def _end(start: PodStart) -> float:
    """Unix time in seconds."""
    return start.started_at.timestamp() + start.duration_ms / 1000
