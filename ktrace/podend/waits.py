"""What a pod that is being ended waits for at the moment."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

from ktrace.components import APISERVER, KUBELET
from ktrace.podend.model import PodEnding
from ktrace.podend.seen import Seen
from ktrace.podstart import gaps, progress
from ktrace.podstart.model import Step, Waiting
from ktrace.podstart.pod import Condition, Pod

_LATE = timedelta(seconds=15)
"""After the grace period, until it is worth telling that it has passed: SIGKILL, the sandbox and
the volumes take a few seconds."""


def of(seen: Seen, ending: PodEnding, node_ready: Condition | None) -> tuple[Waiting, ...]:
    """Nothing for a pod that nobody has deleted, or that is gone."""
    pod = seen.pod
    if pod is None or not pod.deleted or pod.mirror:
        return ()
    return tuple(_waits(seen, pod, ending, node_ready))


def _waits(
    seen: Seen, pod: Pod, ending: PodEnding, node_ready: Condition | None
) -> Iterator[Waiting]:
    if seen.kubelet_done:
        names = ", ".join(pod.finalizers)
        if names:
            since = progress.at(seen.held_since) or progress.at(pod.deletion_requested)
            several = "finalizers" if len(pod.finalizers) > 1 else "finalizer"
            yield Waiting(f"{several} {names} to be removed", since, stuck=True)
        return
    if node_ready and not node_ready.status:
        why = f" ({node_ready.reason})" if node_ready.reason else ""
        what = f"node {pod.node} to answer: it is not Ready{why}"
        yield Waiting(what, progress.at(node_ready.since), stuck=True)
    ended = max((sync.end for sync in seen.syncs if not sync.failed), default=None)
    if seen.terminated:
        yield Waiting("the kubelet to report the end", progress.at(seen.terminated[-1].end))
    elif ended is not None:
        what = "the kubelet to unmount its volumes and to remove its cgroup"
        yield Waiting(what, progress.at(ended))
    else:
        yield from _of_containers(seen, pod, ending)


def _of_containers(seen: Seen, pod: Pod, ending: PodEnding) -> Iterator[Waiting]:
    failed = [sync for sync in seen.syncs if sync.failed]
    if failed:
        what = f"the kubelet to try again: {failed[-1].error}"
        yield Waiting(what, progress.at(failed[-1].end), stuck=True)
        return
    stopped = {stop.name for stop in seen.stops}
    left = [found.name for found in pod.containers if found.running and found.name not in stopped]
    since, grace = _asked(pod, ending), pod.grace
    if not left:
        ends = [found.finished_at for found in pod.containers if found.finished_at]
        if pod.node:
            what = "the kubelet to clean up: no container runs, by its last report"
            yield Waiting(what, progress.at(max(ends, default=None)) or since)
        return
    several = "containers" if len(left) > 1 else "container"
    hooks = any(found.pre_stop for found in pod.containers if found.name in left)
    what = f"{several} {', '.join(left)} to end{', or for a preStop handler' if hooks else ''}"
    late = _is_late(since, grace, ending.looked_at)
    if grace:
        what += f" ({grace} s of grace{', which have passed' if late else ''})"
    yield Waiting(what, since, stuck=late)


def _asked(pod: Pod, ending: PodEnding) -> datetime | None:
    """When the grace period began: by the request that the object means, which is more exact."""
    told = progress.at(pod.deletion_requested)
    exact = [
        asked.at
        for asked in ending.asked
        if told and timedelta(0) <= asked.at - told < timedelta(seconds=1)
    ]
    return exact[-1] if exact else told


def _is_late(since: datetime | None, grace: int | None, now: datetime | None) -> bool:
    if since is None or grace is None or now is None:
        return False
    return now > since + timedelta(seconds=grace) + _LATE


def until_observed(ending: PodEnding) -> PodEnding:
    """``ending`` with its last step, which has not ended, if it goes on.

    Two looks at an ending that goes on differ in this alone, so ``build`` leaves it out.
    """
    if not ending.goes_on or ending.begun is None or ending.looked_at is None:
        return ending
    so_far_ms = (ending.looked_at - ending.begun).total_seconds() * 1000
    covered_ms = max((step.end_ms for step in ending.steps), default=0.0)
    if so_far_ms < covered_ms:  # this machine's clock is behind the cluster's
        return ending
    steps = [*ending.steps, *_last(ending, covered_ms, so_far_ms)]
    told = so_far_ms if ending.beginning_known else None
    return replace(ending, duration_ms=told, steps=tuple(steps))


def _last(ending: PodEnding, begin_ms: float, end_ms: float) -> Iterator[Step]:
    first = ending.waiting[0] if ending.waiting else None
    if first is None:
        return
    since_ms = begin_ms
    if first.since and ending.begun:
        since_ms = (first.since - ending.begun).total_seconds() * 1000
        since_ms = min(max(since_ms, begin_ms), end_ms)
    if gaps.is_shown(since_ms - begin_ms, end_ms):
        unknown_ms = since_ms - begin_ms
        yield Step(gaps.NOT_TRACED, KUBELET, begin_ms, unknown_ms, unexplained=True)
    else:
        since_ms = begin_ms
    component = APISERVER if first.what.startswith("finalizer") else KUBELET
    node = ending.node if component == KUBELET else ""
    yield Step(f"waits for {first.what}", component, since_ms, end_ms - since_ms, node=node)
