"""What the last Ready pod of a rollout waited for: its own start, and what came before that. Pure.

Spans do not say why a controller creates a pod. Where it creates them one after another, as when it
replaces old pods, a pod is taken to have waited for what ended last before it was created.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from ktrace.rollout.kinds import DAEMON_SET, DEPLOYMENT, STATEFUL_SET
from ktrace.rollout.model import Link, Part, RolledPod, Rollout, State

_SECOND = timedelta(seconds=1)
"""What moments of objects are known to."""
_ROUNDING = timedelta(milliseconds=50)
"""A controller may see a change before the request that made it has ended."""
_DONE = (State.READY, State.SUCCEEDED)


def of(rollout: Rollout) -> tuple[Link, ...]:
    """Empty while the rollout goes on, where a time is not known, and where several pods may have
    been the last one."""
    workload, new = rollout.workload, [pod for pod in rollout.pods if pod.part is Part.NEW]
    if workload is None or not new or any(pod.ready is None for pod in new):
        return ()
    starts = [
        (
            Link(
                pod.name,
                pod.held.step if pod.held else "",
                pod.created,
                pod.ready,
                exact=pod.took_exact,
            ),
            pod,
        )
        for pod in new
        if pod.created and pod.ready
    ]
    if len(starts) < len(new):
        return ()
    last, pod = max(starts, key=lambda found: found[0].end)
    others = [found for found in starts if found[1] is not pod]
    if not workload.one_by_one and any(_may_end_later(*other, last) for other in others):
        return ()
    before = [(link, _tolerance(found)) for link, found in starts]
    before += [(link, _ROUNDING) for link in _endings(rollout)]
    links = [last]
    if _one_after_another(rollout):
        links = _walked(last, _tolerance(pod), before, rollout.begun)
    return tuple(_with_pauses(links, rollout))


def longest(links: Sequence[Link]) -> Link | None:
    return max(links, key=lambda link: link.ms, default=None)


def _endings(rollout: Rollout) -> Iterator[Link]:
    """Those that are waited for: a Deployment counts no pod that has begun to end."""
    if rollout.workload and rollout.workload.kind is DEPLOYMENT:
        return
    for other in rollout.others:
        begun, ended = other.ending.begun, other.ending.ended
        if begun and ended and ended >= begun:
            killed = ", ".join(other.ending.killed)
            what = f"{killed} killed" if killed else other.ending.slowest or "termination"
            yield Link(other.name, what, begun, ended, ending=True, exact=other.ending.exact)


def _one_after_another(rollout: Rollout) -> bool:
    workload = rollout.workload
    if workload is None:
        return False
    if workload.kind is STATEFUL_SET:
        return workload.one_by_one or bool(rollout.others)
    return workload.kind in (DEPLOYMENT, DAEMON_SET) and bool(rollout.others)


def _walked(
    last: Link,
    tolerance: timedelta,
    before: Sequence[tuple[Link, timedelta]],
    begun: datetime | None,
) -> list[Link]:
    links = [last]
    while begun is None or links[0].begin - begun > tolerance:
        at, slack = links[0].begin, tolerance
        candidates = [
            (link, own)
            for link, own in before
            if link.begin < at and link.end <= at + max(slack, own) and link not in links
        ]
        if not candidates:
            break
        found, tolerance = max(candidates, key=lambda entry: (entry[0].end, entry[0].ms))
        if begun and found.end <= begun:
            break
        links.insert(0, replace(found, end=min(found.end, at)))
    return links


def _with_pauses(links: Sequence[Link], rollout: Rollout) -> Iterator[Link]:
    until, exact = rollout.begun, rollout.begun_exact
    for link in links:
        if until and link.begin - until > _ROUNDING:
            what = f"before {link.pod} was created"
            yield Link("", what, until, link.begin, exact=exact and link.exact)
        yield link
        until, exact = link.end, link.exact


def _may_end_later(link: Link, pod: RolledPod, last: Link) -> bool:
    """Whether ``pod`` may have been Ready after ``last``: a condition tells whole seconds."""
    return not pod.ready_exact and link.end + _SECOND > last.end


def _tolerance(pod: RolledPod) -> timedelta:
    return _ROUNDING if pod.exact and pod.ready_exact else _SECOND
