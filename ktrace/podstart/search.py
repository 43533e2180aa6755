"""Shows a pod's start as Jaeger and the cluster have it, and waits until its spans have arrived."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from ktrace.clock import time
from ktrace.components import KUBELET
from ktrace.jaeger import Jaeger, JaegerError, Reader
from ktrace.podstart import cluster
from ktrace.podstart.build import build
from ktrace.podstart.calls import SYNC
from ktrace.podstart.cluster import FromCluster
from ktrace.podstart.model import PodStart
from ktrace.podstart.pod import SECOND
from ktrace.podstart.pod_spans import POD, PodSpans

_POLL_SECONDS = 1.0
"""Longer than an exporter's delay of 500 ms: two equal results mean that nothing is on its way."""
_ARRIVAL = 60 * SECOND
"""Spans of what is older than this have arrived, or never will."""
_RECENT_TRACES = 200

T = TypeVar("T")


def settled(
    look: Callable[[], T],
    complete: Callable[[T], bool],
    seconds: float,
    late: float = 0,
    *,
    final: Callable[[T], bool] = lambda _: False,
) -> T:
    """The first result that is ``complete`` and twice the same; after ``seconds`` the last one.

    One that is ``final`` is not waited for a second time. ``late`` is how many seconds a span that
    has arrived may be invisible. A look at Jaeger that fails is repeated, but not the first and not
    the last one: JaegerError.
    """
    deadline = time.monotonic() + seconds
    previous = look()
    if final(previous):
        return previous
    failure: JaegerError | None = None
    while (left := deadline - time.monotonic()) > 0:
        time.sleep(min(_POLL_SECONDS + late, left))
        try:
            current = look()
        except JaegerError as error:
            failure = error
            continue
        if failure is None and complete(current) and current == previous:
            return current
        previous, failure = current, None
    if failure:
        raise failure
    return previous


def wait_for_start(
    jaeger: Jaeger,
    namespace: str,
    pod: str,
    seconds: float,
    kubeconfig: Path | str | None = None,
    *,
    in_progress: bool = False,
    runtime_traced: bool = False,
) -> PodStart | None:
    """The newest start of a pod of that name, once no span of it is missing.

    After ``seconds`` it is what has arrived by then, or None. A start that cannot go on is not
    waited for; one in progress neither, if ``in_progress``. Without ``kubeconfig`` the pod object
    is not read, and no start is known to be complete. Raises JaegerError if Jaeger fails at first
    or in the end.
    """
    reader = Reader(jaeger)

    def ends(start: PodStart | None) -> bool:
        return start is not None and is_whole(start, in_progress=in_progress)

    with cluster.connected(Path(kubeconfig) if kubeconfig else None) as api:

        def look() -> PodStart | None:
            known = cluster.read(api, namespace, pod)
            return look_for_start(
                reader, namespace, pod, known=known, runtime_traced=runtime_traced
            )

        def final(start: PodStart | None) -> bool:
            return start is not None and is_old(start)

        start = settled(look, ends, seconds, jaeger.store.late, final=final)
        if ends(start) or not seconds:
            return start
        reader.forget()
        return look()


def look_for_start(
    jaeger: Jaeger | Reader,
    namespace: str,
    pod: str,
    uid: str | None = None,
    *,
    known: FromCluster | None = None,
    runtime_traced: bool = False,
) -> PodStart | None:
    """The newest start of a pod of that name, or that of ``uid``, as far as Jaeger has it now.

    ``known`` is what the cluster has of it; the pod object says which of several pods is meant. A
    Reader is for whoever looks again. Raises JaegerError.
    """
    known = known or FromCluster()
    if uid and known.pod and uid not in known.pod.uids:
        known = FromCluster(missing=("the pod object: another pod has that name now",))
    uids = [uid] if uid else list(known.pod.uids) if known.pod else []
    now = datetime.fromtimestamp(time.time(), tz=UTC)
    spans, found_uid = PodSpans(jaeger, namespace, pod, pod=known.pod, now=now).found(uids)
    events = [event for event in known.events if event.uid in ("", found_uid, *uids)]
    return build(
        namespace,
        pod,
        spans,
        known.pod,
        events,
        missing=known.missing,
        node_ready=known.node_ready,
        now=now,
        runtime_traced=runtime_traced,
    )


def recent_pods(jaeger: Jaeger) -> set[str]:
    """namespace/name of the pods in the newest of the kubelet's traces."""
    traces = jaeger.find(KUBELET, SYNC, start=0, limit=_RECENT_TRACES)
    return {str(span.tags[POD]) for trace in traces for span in trace.spans if POD in span.tags}


def is_whole(start: PodStart, *, in_progress: bool = False) -> bool:
    """Whether nothing more of ``start`` is to be waited for."""
    if start.wanted_known and start.incomplete:
        # The spans of a running sync have no parent until it has ended.
        return in_progress or any(waiting.stuck for waiting in start.waiting)
    if start.lacks_spans and start.looked_at:
        return _has_all(start, start.duration_ms)
    return not start.spans_without_parent


def is_old(start: PodStart) -> bool:
    """Whether it is complete, and every span of it has arrived or never will."""
    return not start.incomplete and is_whole(start) and _has_all(start, start.length_ms)


def _has_all(start: PodStart, length_ms: float) -> bool:
    """Whether every span of its first ``length_ms`` has arrived, or never will."""
    if start.looked_at is None:
        return False
    ended = start.started_at.timestamp() + length_ms / 1000
    return start.looked_at.timestamp() - ended > _ARRIVAL / SECOND
