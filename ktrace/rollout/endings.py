"""When pods ended, as the kubelet's spans and the requests that deleted them tell."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from urllib.parse import quote

from ktrace.components import APISERVER, is_kubelet
from ktrace.jaeger import Span, Trace
from ktrace.podstart.pod import SECOND
from ktrace.podstart.pod_spans import POD, POD_UID
from ktrace.podstart.seen import node_of
from ktrace.rollout.model import Ending, OtherPod, State
from ktrace.rollout.named import revision_of
from ktrace.rollout.pool import TERMINATED, TERMINATING, Pool
from ktrace.rollout.workload import Workload


@dataclass(frozen=True)
class EndedPod:
    namespace: str
    name: str
    ending: Ending


def read(pool: Pool, start: int, end: int) -> dict[str, EndedPod]:
    """Those that the pool has seen ending, by uid. Raises JaegerError."""
    found: dict[str, EndedPod] = {}
    spans: dict[str, list[Span]] = {}
    for operation in (TERMINATING, TERMINATED):
        for trace in pool.named(operation):
            for span in trace.spans:
                if span.operation == operation and (uid := str(span.tags.get(POD_UID, ""))):
                    spans.setdefault(uid, []).append(span)
    for uid, own in spans.items():
        namespace, _, name = str(own[0].tags.get(POD, "")).partition("/")
        ending = _with_requests(_of_spans(uid, own), pool, namespace, name, start, end)
        found[uid] = EndedPod(namespace, name, ending)
    return found


def gone(
    workload: Workload,
    replica_sets: Collection[str],
    ended: Mapping[str, EndedPod],
    existing: Collection[str],
    since: datetime | None,
) -> list[OtherPod]:
    """The workload's pods that ended ``since`` then and are not among the ``existing`` uids."""
    return [
        OtherPod(
            pod.namespace,
            pod.name,
            uid,
            State.GONE if pod.ending.ended else State.ENDING,
            revision,
            pod.ending.node,
            pod.ending,
        )
        for uid, pod in ended.items()
        if uid not in existing
        and pod.namespace == workload.namespace
        and (revision := revision_of(workload, replica_sets, pod.name)) is not None
        and (since is None or (pod.ending.ended or pod.ending.begun or since) >= since)
    ]


def _of_spans(uid: str, spans: Iterable[Span]) -> Ending:
    ordered = sorted(spans, key=lambda span: span.start)
    terminated = [span.end for span in ordered if span.operation == TERMINATED]
    return Ending(
        begun=_moment(ordered[0].start),
        ended=_moment(max(terminated)) if terminated else None,
        node=next(filter(None, map(node_of, ordered)), ""),
        uid=uid,
    )


def _with_requests(  # noqa: PLR0917
    ending: Ending, pool: Pool, namespace: str, name: str, start: int, end: int
) -> Ending:
    """With the moments of the requests that deleted the pod, where they are known."""
    path = f"/api/v1/namespaces/{quote(namespace, safe='')}/pods/{quote(name, safe='')}"
    traces = pool.known(APISERVER, {"url": path}, start, end)
    deletes = sorted(_deletes(traces, path), key=lambda span: span.start)
    by_kubelet = [span for span in deletes if is_kubelet(str(span.tags.get("user-agent", "")))]
    first = [
        span
        for span in deletes
        if span not in by_kubelet and ending.begun and _moment(span.start) <= ending.begun
    ]
    last = [
        span
        for span in by_kubelet
        if ending.ended and abs(span.end - ending.ended.timestamp() * SECOND) < 60 * SECOND
    ]
    if first:
        ending = replace(ending, begun=_moment(first[-1].start))
    if last:
        ending = replace(ending, ended=_moment(last[-1].end))
    return ending


def _deletes(traces: Iterable[Trace], path: str) -> Iterable[Span]:
    for trace in traces:
        for span in trace.spans:
            if span.tags.get("url") == path and span.tags.get("verb") == "DELETE":
                yield span


def _moment(microseconds: int) -> datetime:
    return datetime.fromtimestamp(microseconds / SECOND, tz=UTC)
