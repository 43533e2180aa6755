"""Shows a pod's ending as Jaeger and the cluster have it, once its spans have arrived."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from ktrace.api import Api
from ktrace.clock import time
from ktrace.jaeger import Jaeger, Reader
from ktrace.podend.build import build
from ktrace.podend.model import PodEnding
from ktrace.podend.pod_end_spans import PodEndSpans
from ktrace.podstart import cluster
from ktrace.podstart.cluster import FromCluster
from ktrace.podstart.pod import Condition, Pod
from ktrace.podstart.search import settled

_ARRIVAL_SECONDS = 60
"""Spans of what is older than this have arrived, or never will."""


def wait_for_ending(
    jaeger: Jaeger,
    namespace: str,
    pod: str,
    seconds: float,
    kubeconfig: Path | None = None,
    *,
    runtime_traced: bool = False,
) -> PodEnding | None:
    """The newest ending of a pod of that name, once no span of it is missing.

    After ``seconds`` it is what has arrived by then, or None. One that goes on is not waited for.
    With ``runtime_traced`` it lacks spans as long as a stop has none of the runtime. Raises
    JaegerError if Jaeger fails at first or in the end.
    """
    reader = Reader(jaeger)

    def ends(ending: PodEnding | None) -> bool:
        return _is_whole(ending, runtime_traced=runtime_traced)

    with cluster.connected(kubeconfig) as api:

        def look() -> PodEnding | None:
            known = cluster.read(api, namespace, pod)
            return look_for_ending(reader, namespace, pod, known=known, api=api)

        ending = settled(look, ends, seconds, jaeger.store.late)
        if ends(ending) or not seconds:
            return ending
        reader.forget()
        return look()


def look_for_ending(
    jaeger: Jaeger | Reader,
    namespace: str,
    pod: str,
    uid: str = "",
    *,
    known: FromCluster | None = None,
    api: Api | str = "",
) -> PodEnding | None:
    """The ending of the pod of ``uid``, or the newest of its name, as far as Jaeger has it now.

    ``known`` is what the cluster has of it. Where the object of that name is of another pod than
    ``uid``, that one is gone. Where it is of one that has not been deleted, and an older pod of the
    name has ended, it is the ending of that one. ``api`` is asked for a node that does not answer.
    A Reader is for whoever looks again. Raises JaegerError.
    """
    known = known or FromCluster()
    if uid and known.pod and uid not in known.pod.uids:
        known = _without_object(known)
    node = known.pod.node if known.pod and known.pod.deleted else ""
    node_ready = cluster.node_ready(api, node) if node else None
    ending = _look(jaeger, namespace, pod, uid, known, node_ready)
    if uid or known.pod is None or known.pod.deleted or (ending and ending.begun):
        return ending
    ended = _spans(jaeger, namespace, pod, None).last_ended(besides=known.pod.uids)
    earlier = _look(jaeger, namespace, pod, ended, _without_object(known)) if ended else None
    if earlier is None:
        return ending
    newer = "a newer pod of that name exists, which has not been deleted"
    return replace(earlier, notes=(*earlier.notes, newer))


def _look(  # noqa: PLR0917
    jaeger: Jaeger | Reader,
    namespace: str,
    pod: str,
    uid: str,
    known: FromCluster,
    node_ready: Condition | None = None,
) -> PodEnding | None:
    events = [event for event in known.events if not uid or event.uid in ("", uid)]
    return build(
        namespace,
        pod,
        _spans(jaeger, namespace, pod, known.pod).ending(uid),
        known.pod,
        events,
        gone=known.gone,
        node_ready=node_ready,
        missing=() if known.gone else known.missing,  # a pod that has ended is gone
        now=_now(),
    )


def _spans(jaeger: Jaeger | Reader, namespace: str, name: str, pod: Pod | None) -> PodEndSpans:
    return PodEndSpans(jaeger, namespace, name, pod=pod, now=_now())


def _now() -> datetime:
    return datetime.fromtimestamp(time.time(), tz=UTC)


def _without_object(known: FromCluster) -> FromCluster:
    """What the cluster tells of an older pod of the name: its object is gone."""
    return replace(known, pod=None, gone=True)


def _is_whole(ending: PodEnding | None, *, runtime_traced: bool) -> bool:
    """Whether nothing more of ``ending`` is to be waited for."""
    if ending is None:
        return False
    if ending.ended is not True:
        return ending.ended is False
    if ending.looked_at and ending.begun:
        age = (ending.looked_at - ending.begun).total_seconds()
        if age - (ending.duration_ms or 0) / 1000 > _ARRIVAL_SECONDS:
            return True
    lacks = ending.spans_without_parent or (runtime_traced and ending.lacks_spans)
    return ending.duration_ms is not None and not lacks
