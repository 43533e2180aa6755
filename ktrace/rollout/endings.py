"""When and how pods ended, of all that the kubelets' spans name."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime

from ktrace.jaeger import Reader
from ktrace.podend.model import PodEnding
from ktrace.podend.search import look_for_ending
from ktrace.podend.stops import TERMINATED, TERMINATING
from ktrace.podstart.cluster import FromCluster
from ktrace.podstart.pod import SECOND
from ktrace.podstart.pod_spans import POD, POD_UID
from ktrace.rollout.model import Ending, OtherPod, State
from ktrace.rollout.named import revision_of
from ktrace.rollout.pool import FEW, Pool
from ktrace.rollout.sources import Revision, Sources

_GONE = FromCluster(gone=True)


@dataclass(frozen=True)
class _End:
    """A pod that ends, or has ended."""

    namespace: str
    name: str
    uid: str
    revision: str
    known: FromCluster


class Endings:
    """Remembers those that nothing more can be learned of."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._reader = Reader(pool.jaeger)
        self._known: dict[str, tuple[FromCluster, PodEnding, bool]] = {}
        """By uid: the last pod object, the last ending, and whether that was the same twice."""

    def read(self, sources: Sources, since: datetime | None, now: datetime) -> list[OtherPod]:
        """Of the workload's pods that are being deleted, and of those that are gone ``since`` then.

        Raises JaegerError.
        """
        pods = {pod.uid: pod for pod in sources.pods}
        revisions = {
            found.name: found for found in (*sources.older, sources.revision) if found is not None
        }
        ends = [
            _End(pod.namespace, pod.name, pod.uid, pod.revision, pod.known)
            for pod in sources.pods
            if pod.pod and pod.pod.deleted
        ]
        ends += [end for end in self._gone(sources, revisions) if end.uid not in pods]
        reader = self._reader
        if len(ends) > FEW:
            self._pool.read_beginnings(int(now.timestamp()) * SECOND)
            reader = self._pool
        found = [_other(end, self._of(reader, end), revisions.get(end.revision)) for end in ends]
        return [
            other
            for other in found
            if since is None
            or (at := other.ending.ended or other.ending.begun) is None
            or at >= since
        ]

    def _gone(self, sources: Sources, revisions: Collection[str]) -> Iterator[_End]:
        """The workload's pods that kubelets ended, by their names."""
        workload = sources.workload
        if workload is None:
            return
        names = list(filter(None, revisions))
        for uid, (namespace, name) in self._seen().items():
            revision = revision_of(workload, names, name)
            if namespace == workload.namespace and revision is not None:
                yield _End(namespace, name, uid, revision, _GONE)

    def _seen(self) -> dict[str, tuple[str, str]]:
        """Namespace and name of the pods that kubelets ended, by uid."""
        found: dict[str, tuple[str, str]] = {}
        for operation in (TERMINATING, TERMINATED):
            for trace in self._pool.named(operation):
                for span in trace.spans:
                    if span.operation == operation and (uid := str(span.tags.get(POD_UID, ""))):
                        namespace, _, name = str(span.tags.get(POD, "")).partition("/")
                        found[uid] = namespace, name
        return found

    def _of(self, reader: Reader, end: _End) -> PodEnding | None:
        before, ending, stable = self._known.get(end.uid, (None, None, False))
        if stable and before == end.known:
            return ending
        found = look_for_ending(reader, end.namespace, end.name, end.uid, known=end.known)
        if found:
            same = found == ending and before == end.known and found.ended is True
            self._known[end.uid] = (end.known, found, same)
        return found


def _other(end: _End, ending: PodEnding | None, revision: Revision | None) -> OtherPod:
    if ending is None:
        return OtherPod(end.namespace, end.name, end.uid, State.NOT_KNOWN, end.revision)
    grace = revision.grace if revision and end.known.gone else ending.grace_seconds
    slowest = ending.slowest
    told = Ending(
        begun=ending.begun if ending.beginning_known else None,
        ended=ending.ended_at,
        exact=not ending.to_the_second,
        grace=grace,
        killed=ending.killed,
        slowest=slowest.name if slowest else "",
        detail=ending,
    )
    state = State.GONE if ending.ended else State.ENDING
    return OtherPod(end.namespace, end.name, end.uid, state, end.revision, ending.node, told)
