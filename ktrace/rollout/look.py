"""Reads rollouts from the cluster and from Jaeger, and waits until the spans have arrived."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from ktrace.api import Api
from ktrace.clock import time
from ktrace.components import KUBELET
from ktrace.errors import KtraceError, UsageError
from ktrace.jaeger import Jaeger, origin
from ktrace.podstart.calls import SYNC
from ktrace.podstart.cluster import FromCluster
from ktrace.podstart.in_progress import until_observed
from ktrace.podstart.model import PodStart
from ktrace.podstart.pod import READY, SECOND
from ktrace.podstart.pod_spans import FIRST_SYNC, POD, POD_UID
from ktrace.podstart.search import is_old, is_whole, look_for_start, settled
from ktrace.rollout import cluster, writes
from ktrace.rollout.build import begun, build, written
from ktrace.rollout.cluster import Selection
from ktrace.rollout.endings import Endings
from ktrace.rollout.kinds import DEPLOYMENT, PODS
from ktrace.rollout.model import OtherPod, Rollout, State, Write
from ktrace.rollout.named import revision_of
from ktrace.rollout.pool import Period, Pool
from ktrace.rollout.sources import PodObject, Revision, Sources
from ktrace.rollout.workload import Workload

_AROUND = 60 * SECOND
"""Microseconds before and after a pod's times in which its spans are."""
_MOST_BY_NAME = 5_000
_ASKED_FOR_A_STACK = 3
_DEFAULT_GRACE = 30


@dataclass(frozen=True)
class _Looked:
    starts: tuple[PodStart, ...]
    """Two looks with the same ones, and the same ends, have nothing more to tell."""
    ends: tuple[tuple[str, State], ...]
    by_uid: dict[str, PodStart] = field(compare=False)
    sources: tuple[Sources, ...] = field(compare=False)
    ended: dict[str, list[OtherPod]] = field(compare=False)
    """By the workload's uid."""
    writes: dict[str, tuple[Write | None, str]] = field(compare=False)
    now: datetime = field(compare=False)


class Look:
    """Looks for what ``wanted`` names; ``api`` as text is the reason why there is no cluster."""

    def __init__(
        self, jaeger: Jaeger, api: Api | str, wanted: Selection, *, runtime_traced: bool = False
    ) -> None:
        self._jaeger, self._api, self._wanted = jaeger, api, wanted
        self._runtime_traced = runtime_traced
        self._pool = Pool(jaeger)
        self._endings = Endings(self._pool)
        self._known: dict[str, tuple[FromCluster, PodStart, bool]] = {}
        """By uid: the last pod object, the last start, and whether that was the same twice."""
        self._writes: dict[tuple[str, datetime | None], tuple[Write | None, str]] = {}

    def wait(self, seconds: float) -> list[Rollout]:
        """The rollouts once no span of them is missing, at most after ``seconds``.

        One that goes on is not waited for. Raises JaegerError, and KtraceError if there is no such
        object.
        """

        def ends(looked: _Looked) -> bool:
            return all(is_whole(start, in_progress=True) for start in looked.starts)

        looked = settled(self._look, ends, seconds, self._jaeger.store.late, final=_is_old)
        if not ends(looked) and seconds:
            self._pool.forget()
            looked = self._look()
        return list(self._built(looked))

    def _look(self) -> _Looked:
        if isinstance(self._api, str):
            sources = [self._of_spans()]
        else:
            sources = cluster.read(self._api, self._wanted)
        now = datetime.fromtimestamp(time.time(), tz=UTC)
        self._choose_stack(sources)
        periods = [period for one in sources for period in _periods(one, now)]
        pods = {
            f"{pod.namespace}/{pod.name}": pod.pod.created
            for one in sources
            for pod in _started(one)
            if pod.pod and pod.pod.created
        }
        present = int(now.timestamp()) * SECOND + _AROUND
        self._pool.read(periods, pods, present, self._wanted.namespace)
        by_uid = {
            pod.uid: start
            for one in sources
            for pod in _started(one)
            if (start := self._start(pod))
        }
        ended = {
            one.workload.uid: self._endings.read(one, begun(one), now)
            for one in sources
            if one.workload
        }
        return _Looked(
            tuple(by_uid.values()),
            tuple((other.uid, other.state) for others in ended.values() for other in others),
            by_uid,
            tuple(sources),
            ended,
            {one.workload.uid: self._write(one, one.workload) for one in sources if one.workload},
            now,
        )

    def _start(self, pod: PodObject) -> PodStart | None:
        known, start, stable = self._known.get(pod.uid, (None, None, False))
        if stable and known == pod.known:
            return start
        found = look_for_start(
            self._pool,
            pod.namespace,
            pod.name,
            pod.uid,
            known=pod.known,
            runtime_traced=self._runtime_traced,
        )
        if found:
            same = found == start and is_whole(found) and known == pod.known
            self._known[pod.uid] = (pod.known, found, same)
        return found

    def _write(self, sources: Sources, workload: Workload) -> tuple[Write | None, str]:
        if not workload.uid:
            return None, "the write: without the cluster it is not known which one counts"
        key = workload.uid, written(sources)
        found = self._writes.get(key)
        if found is None or found[0] is None:
            self._writes[key] = writes.find(self._pool, workload, key[1])
        return self._writes[key]

    def _choose_stack(self, sources: Sequence[Sources]) -> None:
        """In a Jaeger of many stacks a pod's uid tells which one is meant."""
        if not self._jaeger.shared or self._jaeger.stack:
            return
        pods = [pod for one in sources for pod in one.pods if pod.pod]
        for pod in pods[:_ASKED_FOR_A_STACK]:
            tags = {POD: f"{pod.namespace}/{pod.name}", POD_UID: pod.uid}
            for trace in self._jaeger.find(KUBELET, SYNC, tags=tags, start=0, limit=1):
                for span in trace.spans:
                    if span.operation == SYNC:
                        self._jaeger.narrow(origin.of(span))
                        return

    def _of_spans(self) -> Sources:
        """What the names of pods in the kubelet's spans tell, without a cluster."""
        wanted = self._wanted
        if wanted.kind is PODS or not wanted.name:
            raise UsageError(f"{wanted.told}: the cluster alone knows which these are: {self._api}")
        workload = Workload(wanted.kind, wanted.namespace, wanted.name)
        traces, _ = self._pool.find_all(
            KUBELET, SYNC, tags=FIRST_SYNC, start=0,
            end=int(time.time()) * SECOND + _AROUND, most=_MOST_BY_NAME,
        )  # fmt: skip
        newest: dict[str, tuple[int, str, str]] = {}
        for span in (span for trace in traces for span in trace.spans if span.operation == SYNC):
            namespace, _, name = str(span.tags.get(POD, "")).partition("/")
            of = revision_of(workload, (), name)
            uid = str(span.tags.get(POD_UID, ""))
            if namespace == wanted.namespace and of is not None and uid:
                newest[name] = max(newest.get(name, (0, "", "")), (span.start, uid, of))
        if not newest:
            raise KtraceError(
                f"Jaeger has no pod with a name that one of {wanted.told} would have; {self._api}"
            )
        last = max(newest.values())[2]
        pods = tuple(
            PodObject(wanted.namespace, name, uid, None, revision)
            for name, (_, uid, revision) in sorted(newest.items())
            if revision == last
        )
        revision = Revision(last) if workload.kind is DEPLOYMENT else None
        told = f"which pods are wanted, and whether they are Ready: {self._api}"
        return Sources(workload, revision, pods=pods, missing=(told,))

    def _built(self, looked: _Looked) -> Iterator[Rollout]:
        starts = {uid: until_observed(start) for uid, start in looked.by_uid.items()}
        for one in looked.sources:
            workload = one.workload
            if workload is None:
                yield build(self._wanted.told, one, starts, now=looked.now)
                continue
            write, lacking = looked.writes[workload.uid]
            yield build(
                workload.title,
                one,
                starts,
                write=write,
                ended=looked.ended[workload.uid],
                now=looked.now,
                missing=list(filter(None, (lacking, self._pool.limit))),
            )


def _is_old(looked: _Looked) -> bool:
    """Whether every span of it has arrived, or never will."""
    ended = [other for others in looked.ended.values() for other in others]
    return (
        len(looked.starts) == sum(len(_started(one)) for one in looked.sources)
        and all(map(is_old, looked.starts))
        and all(_has_long_ended(other, looked.now) for other in ended)
    )


def _has_long_ended(other: OtherPod, now: datetime) -> bool:
    ended = other.ending.ended
    return ended is not None and (now - ended).total_seconds() * SECOND > _AROUND


def _started(sources: Sources) -> list[PodObject]:
    """The pods whose starts are told: not those that were there before the last write."""
    since = begun(sources)
    return [
        pod
        for pod in sources.pods
        if pod.current is not False
        and not (since and pod.pod and pod.pod.created and _second(pod.pod.created) < since)
    ]


def _periods(sources: Sources, now: datetime) -> Iterator[Period]:
    """In which the spans of its pods are, and of those that ended meanwhile."""
    present = int(now.timestamp()) * SECOND + _AROUND
    grace = (sources.workload.grace if sources.workload else _DEFAULT_GRACE) * SECOND
    since = begun(sources)
    for pod in _started(sources):
        if pod.pod is None or pod.pod.created is None:
            continue
        begin = pod.pod.created
        ready = pod.pod.condition(READY)
        done = ready.since if ready and ready.status else None
        end = min(present, done + grace + _AROUND) if done else present
        if since and begin - int(since.timestamp()) * SECOND < _AROUND:
            begin = int(since.timestamp()) * SECOND
        yield begin - _AROUND, end


def _second(microseconds: int) -> datetime:
    moment = datetime.fromtimestamp(microseconds / SECOND, tz=UTC)
    return moment - timedelta(microseconds=moment.microsecond)
