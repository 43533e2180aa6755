"""What a start that is not complete waits for, as the pod object and its Events tell."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from ktrace.brief import invariant
from ktrace.jaeger import Span
from ktrace.podstart import sync_errors
from ktrace.podstart.model import Waiting
from ktrace.podstart.pod import (
    APP,
    INIT,
    READY,
    SCHEDULED,
    SECOND,
    Condition,
    Container,
    Exit,
    Pod,
    PodEvent,
)

_CREATING = ("ContainerCreating", "PodInitializing", "")
"""Reasons that only say that the kubelet is at work."""
_VOLUMES = ("FailedMount", "FailedAttachVolume")
_SANDBOX = ("FailedCreatePodSandBox", "NetworkNotReady")
_PULLING = "Pulling"
_PULL_ENDED = ("Pulled", "Failed", "BackOff")
_FAILURES = ("Failed", "BackOff")
_UNHEALTHY = "Unhealthy"
_STARTUP = "Startup probe"
_READINESS = "Readiness probe"
_KILLING = "Killing"
_RESTARTED = ", will be restarted"
_DEFAULT = ("", "default-scheduler")
_NO_CLAIM = "FailedResourceClaimCreation"
_GATED = "SchedulingGated"
"""Why a pod with gates is not scheduled. It stays until the scheduler has tried, without gates."""


def of_pod(
    pod: Pod,
    events: Sequence[PodEvent],
    started: Collection[str],
    handler: Waiting | None = None,
    node_ready: Condition | None = None,
    *,
    changed: Sequence[int] = (),
) -> tuple[Waiting, ...]:
    """``started`` are the containers that are known to have started, from spans too.

    ``changed`` is when the pod was changed before a node was found for it, as far as spans tell:
    one of these changes may have opened a scheduling gate.

    ``node_ready`` is the condition of its node. Nothing that a silent kubelet reported before holds
    any more; one that answers may go on although its node is not Ready.

    ``handler`` is the postStart handler that follows the last call to the runtime. The kubelet
    reports no container of a sync before the handler has ended.
    """
    if pod.deleted:
        return (Waiting("the pod is being deleted", at(pod.deletion_requested), stuck=True),)
    if pod.phase == "Failed":
        why = ": ".join(filter(None, (pod.reason, pod.message))) or _ended_badly(pod, events)
        return (Waiting(f"the pod has failed{f': {why}' if why else ''}", stuck=True),)
    if not pod.node:
        return _unscheduled(pod, events, changed)
    missing = [container for container in pod.containers if container.name not in started]
    not_ready = _node_not_ready(pod, node_ready)
    if missing and not_ready and node_ready and node_ready.unknown:
        return not_ready
    if handler and all(container.reason in _CREATING for container in missing):
        return (handler,)
    if not missing:
        if node_ready and node_ready.unknown and not pod.ended:
            return not_ready
        return _not_ready(pod, events)
    if pod.acknowledged is None and not any(container.reason for container in pod.containers):
        scheduled = pod.condition(SCHEDULED)
        since = pod.created  # one that was made for its node has no such condition yet
        if scheduled:
            since = scheduled.since if scheduled.status else None
        return not_ready or (Waiting(f"waiting for the kubelet of {pod.node}", at(since)),)
    found = _containers(pod, missing, events)
    return found or not_ready or (Waiting(f"{missing[0].name} is being created"),)


def _node_not_ready(pod: Pod, ready: Condition | None) -> tuple[Waiting, ...]:
    if ready is None or ready.status:
        return ()
    why = ": ".join(filter(None, (ready.reason, ready.message)))
    what = f"node {pod.node} is not Ready{f': {why}' if why else ''}"
    return (Waiting(what, at(ready.since), stuck=ready.unknown),)


def of_errors(syncs: Sequence[Span]) -> tuple[Waiting, ...]:
    """What the kubelet's last sync says, where the pod object is not known."""
    if not syncs or not syncs[-1].failed:
        return ()
    errors = sync_errors.parse(syncs[-1].error)
    return tuple(
        Waiting(f"{error.container}: {error}" if error.container else str(error), stuck=True)
        for error in errors
    )


def tells(told: Sequence[Waiting], errors: Sequence[str]) -> bool:
    """Whether what is waited for has the containers of the syncs' ``errors``, with the reasons."""
    named = [error for text in errors for error in sync_errors.parse(text)]
    return all(
        error.container and _says(told, error.container, re.escape(error.reason)) for error in named
    )


def _says(told: Sequence[Waiting], container: str, pattern: str) -> bool:
    """Whether one of ``told`` names ``container`` and, of it, something like ``pattern``."""
    named = re.compile(rf"(^|[:;] ){re.escape(container)}: [^;]*{pattern}")
    return any(named.search(one.what) for one in told)


def _unscheduled(
    pod: Pod, events: Sequence[PodEvent], changed: Sequence[int]
) -> tuple[Waiting, ...]:
    if pod.scheduling_gates:
        # A pod may lose gates after it was created, but gets none.
        gates = ", ".join(pod.scheduling_gates)
        return (Waiting(f"scheduling gates: {gates}", at(pod.created), stuck=True),)
    condition, event = pod.condition(SCHEDULED), _last(events, ("FailedScheduling",))
    opened = condition is not None and condition.reason == _GATED
    if condition and not condition.status and condition.message and not opened:
        # It has the time of the gates, if the pod had any: both say that it is not scheduled.
        since = condition.since
        if changed:
            since = max(since or 0, event.first) if event else None
        told = [Waiting(f"unschedulable: {condition.message}", at(since), stuck=True)]
    elif event:
        told = [Waiting(event.explaining("unschedulable"), at(event.first), stuck=True)]
    else:
        told = []
    told += _lacking(pod, events, "".join(one.what for one in told))
    if told:
        return tuple(told)
    what = "waiting for " + (
        "the scheduler" if pod.scheduler in _DEFAULT else f"scheduler {pod.scheduler}"
    )
    since = pod.created
    if opened:
        what += ", its scheduling gates are gone"
        since = changed[0] if len(changed) == 1 else None
    if pending := [str(claim) for claim in pod.claims if not claim.allocated]:
        what += f"; {'; '.join(pending)}"
    return (Waiting(what, at(since)),)


def _lacking(pod: Pod, events: Sequence[PodEvent], told: str) -> tuple[Waiting, ...]:
    """The ResourceClaims that are not there, but for those that ``told`` has: without them the
    scheduler does not try."""
    event = _last(events, (_NO_CLAIM,))
    if event and any(not claim.name for claim in pod.claims):
        return (Waiting(event.explaining("no resource claim"), at(event.first), stuck=True),)
    return tuple(
        Waiting(str(claim), stuck=True)
        for claim in pod.claims
        if claim.exists is False and f'"{claim.name}"' not in told
    )


def _ended_badly(pod: Pod, events: Sequence[PodEvent]) -> str:
    """The containers that made the pod fail, and how they ended."""
    found = (container for container in pod.containers if container.exit_code)
    return "; ".join(_told(container, events) for container in found)


def _containers(
    pod: Pod, missing: Sequence[Container], events: Sequence[PodEvent]
) -> tuple[Waiting, ...]:
    began = any(container.started for container in pod.containers)
    if not began:
        if event := _last(events, _VOLUMES, since_reason=_PULLING):
            return (Waiting(event.explaining("waiting for a volume"), at(event.first), stuck=True),)
        if event := _last(events, _SANDBOX, since_reason=_PULLING):
            return (Waiting(event.explaining("no sandbox"), at(event.first), stuck=True),)
    found = [
        Waiting(_told(container, events), _failing_since(container, events), stuck=True)
        for container in missing
        if container.reason not in _CREATING
    ]
    if pulling := _pulling(missing, events):
        found.append(pulling)
    if not found and began:
        found += _running_ones(pod, missing, events)
    return tuple(found)


def _told(container: Container, events: Sequence[PodEvent]) -> str:
    """Why it does not run: in a back-off, how it ended before too."""
    ended = container.last_exit
    what = container.reason
    if ended and container.exit_code is not None:
        what = str(ended)
    if container.started and container.restarts:
        what += f", {restarted(container)}"
    if container.message:
        what += f": {container.message}"
    if ended and container.exit_code is None:
        what += f"; it last ended with {ended}"
    if ended and (killed := _killed(container, ended, events)):
        what += f": {killed}"
    return f"{container.name}: {what}"


def restarts(pod: Pod, told: Sequence[Waiting]) -> Iterator[str]:
    """Of each container that was restarted how often, where what is waited for does not tell it."""
    for container in pod.containers:
        if container.restarts and not _says(told, container.name, restarted(container)):
            yield f"{container.name} has been {restarted(container)}"


def restarted(container: Container) -> str:
    """Kubernetes counts the attempts to start a container that never ran as restarts too."""
    times = f"{container.restarts} {'time' if container.restarts == 1 else 'times'}"
    return f"{'restarted' if container.started else 'tried again'} {times}"


def _killed(container: Container, ended: Exit, events: Sequence[PodEvent]) -> str:
    """Why the kubelet ended the one that ran last; empty if it ended by itself."""
    if ended.started is None or ended.finished is None:
        return ""
    told = [
        event.message
        for event in events
        if event.reason == _KILLING
        and event.container == container.name
        and ended.started <= event.last <= ended.finished + SECOND
    ]
    return told[-1].removesuffix(_RESTARTED) if told else ""


def _failing_since(container: Container, events: Sequence[PodEvent]) -> datetime | None:
    """Of a container that has never started: its first failure, as far as Events are kept."""
    own = [event for event in events if event.container == container.name]
    return at(min((event.first for event in own if event.reason in _FAILURES), default=None))


def _pulling(missing: Sequence[Container], events: Sequence[PodEvent]) -> Waiting | None:
    """A pull that the kubelet wants and that has not ended: whether it has begun, or waits in the
    kubelet's queue for those of other pods, only its span tells."""
    for container in missing:
        own = [event for event in events if event.container == container.name]
        begun = [event for event in own if event.reason == _PULLING]
        if not begun:
            continue
        last = begun[-1]
        if any(event.reason in _PULL_ENDED and event.last >= last.last for event in own):
            continue
        return Waiting(f"waiting for the pull of {container.image or 'an image'}", at(last.last))
    return None


def _running_ones(
    pod: Pod, missing: Sequence[Container], events: Sequence[PodEvent]
) -> list[Waiting]:
    """What the kubelet waits for among the containers before the first missing one."""
    first = pod.containers.index(missing[0])
    before = pod.containers[:first]
    if not before:
        return []
    last = before[-1]
    if last.restarts and last.reason not in (*_CREATING, "Completed"):
        ended = last.last_exit.finished if last.last_exit else None
        return [Waiting(_told(last, events), at(ended), stuck=True)]
    if last.kind == INIT and last.running:
        return [Waiting(f"init container {last.name} runs", at(last.runs_since))]
    if last.startup_probe and last.running and not last.passed_startup and last.kind != APP:
        probe = startup_probe(last, events)
        return [Waiting(probe, at(last.runs_since), stuck=bool(last.restarts))]
    if last.post_start and last.running and last.kind == APP:
        return [Waiting(f"postStart of {last.name} runs", at(last.runs_since))]
    return []


def _not_ready(pod: Pod, events: Sequence[PodEvent]) -> tuple[Waiting, ...]:
    """What lies between the last start and Ready."""
    condition = pod.condition(READY)
    if condition is None or condition.status or condition.reason == "PodCompleted":
        return ()
    ended = [found for found in pod.containers if _has_ended(found)]
    if ended:
        told = (_told(found, events) for found in ended)
        return tuple(Waiting(f"not Ready: {what}", stuck=True) for what in told)
    if event := _failing_probe(pod, events, condition.since or 0):
        times = f" ({event.count} times)" if event.count > 1 else ""
        why = f": {event.container}: {event.message}{times}"
        return (Waiting(f"not Ready{why}", at(max(event.first, condition.since or 0))),)
    why = condition.message or condition.reason
    return (Waiting(f"not Ready{f': {why}' if why else ''}", at(condition.since)),)


def _failing_probe(pod: Pod, events: Sequence[PodEvent], since: int) -> PodEvent | None:
    """The last Event of a probe that a container which runs has not passed; not one from before
    ``since`` or of an earlier run of the container, and no liveness probe's, which does not make a
    pod Ready."""
    waited = {
        found.name: (_not_passed(found), max(since, found.runs_since or 0))
        for found in pod.containers
        if found.running and not found.ready
    }
    own = []
    for event in events:
        probe, begin = waited.get(event.container, ("", 0))
        if probe and event.message.startswith(probe) and event.last + SECOND > begin:
            own.append(event)
    return _last(own, (_UNHEALTHY,))


def _not_passed(container: Container) -> str:
    """What the messages of the probe begin with that decides now."""
    return _STARTUP if container.startup_probe and not container.passed_startup else _READINESS


def startup_probe(sidecar: Container, events: Sequence[PodEvent]) -> str:
    """What the containers after ``sidecar`` wait for, and why it takes so long."""
    failures = [
        event
        for event in events
        if event.reason == _UNHEALTHY
        and event.container == sidecar.name
        and event.message.startswith(_STARTUP)
    ]
    probe = f"start-up probe of sidecar {sidecar.name}"
    return failures[-1].explaining(probe) if failures else probe


def _has_ended(container: Container) -> bool:
    """Whether it was started and does not run: it has ended, or waits to be restarted."""
    return container.kind != INIT and not container.running and container.reason not in _CREATING


def _last(
    events: Sequence[PodEvent], reasons: Collection[str], since_reason: str = ""
) -> PodEvent | None:
    """The last Event with one of ``reasons`` after any with ``since_reason``, as one with those
    that tell the same: each new sandbox makes another Event."""
    later = max((event.last for event in events if event.reason == since_reason), default=0)
    found = [event for event in events if event.reason in reasons and event.last + SECOND > later]
    last = max(found, key=lambda event: event.last, default=None)
    if last is None:
        return None
    same = [event for event in found if _kind(event) == _kind(last)]
    count = sum(event.count for event in same)
    return replace(last, first=min(event.first for event in same), count=count)


def _kind(event: PodEvent) -> tuple[str, str, str]:
    return event.reason, event.container, invariant(event.message)


def at(microseconds: int | None) -> datetime | None:
    """The moment, as far as a datetime can be that one."""
    if microseconds is None:
        return None
    try:
        return datetime.fromtimestamp(microseconds / SECOND, tz=UTC)
    except (ValueError, OverflowError, OSError):
        return None
