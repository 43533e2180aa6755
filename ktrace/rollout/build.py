"""Puts a rollout together from what the cluster and the spans tell. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from ktrace.podstart.model import PodStart
from ktrace.podstart.pod import APP, READY, SECOND, Pod
from ktrace.podstart.readiness import SPAN
from ktrace.rollout import chain
from ktrace.rollout.kinds import DAEMON_SET, DEPLOYMENT, JOB, STATEFUL_SET
from ktrace.rollout.model import (
    Ending,
    Held,
    OtherPod,
    Part,
    RolledPod,
    Rollout,
    State,
    Write,
)
from ktrace.rollout.sources import PodObject, Sources
from ktrace.rollout.workload import Workload

_SLACK = timedelta(seconds=60)
"""Longer than a controller takes to create a pod."""
_AT_ONCE = timedelta(seconds=5)
"""In which a controller creates the first pod of a new ReplicaSet if nothing refuses it."""
_ORDINAL = re.compile(r"-([0-9]+)$")
_DONE = (State.READY, State.SUCCEEDED)


def build(
    what: str,
    sources: Sources,
    starts: Mapping[str, PodStart],
    *,
    write: Write | None = None,
    ended: Sequence[OtherPod] = (),
    now: datetime | None = None,
    missing: Sequence[str] = (),
) -> Rollout:
    """``starts`` are by the pod's uid; ``ended`` are pods that end, or that only spans know."""
    workload = sources.workload
    parts = _Parts(sources)
    current = [
        _pod(found, starts.get(found.uid), workload)
        for found in sources.pods
        if found.current is not False
    ]
    since, exact = parts.begun, False
    if write and since and since == parts.written:
        since, exact = write.at, True
    pods = [replace(pod, part=parts.of(pod, current)) for pod in current]
    read = {found.uid: found for found in ended}
    older = [_other(found, workload) for found in sources.pods if found.current is False]
    others = [read.get(other.uid, other) for other in older]
    known = {found.uid for found in sources.pods}
    others += [found for found in ended if found.uid not in known]
    others.sort(key=lambda found: (not found.serves, -(found.ending.took_ms or 0), found.name))
    rollout = Rollout(
        what,
        workload,
        revision=sources.revision.name if sources.revision else "",
        revision_number=sources.revision.number if sources.revision else None,
        revision_created=sources.revision.created if sources.revision else None,
        revision_known=workload is None or sources.revision is not None,
        write=write,
        begun=since,
        begun_exact=exact,
        pods=tuple(sorted(pods, key=_slowest_first)),
        others=tuple(others),
        missing=(*sources.missing, *missing),
        looked_at=now,
    )
    rollout = replace(rollout, chain=chain.of(rollout))
    return replace(rollout, notes=tuple(_notes(rollout, sources, parts)))


def begun(sources: Sources) -> datetime | None:
    """When the newest rollout began, to the second; None where that is not known."""
    return _Parts(sources).begun


def written(sources: Sources) -> datetime | None:
    """The second of the write with which the newest rollout began; None: not told."""
    return _Parts(sources).written


def state_of(pod: Pod | None) -> State:
    """As the pod object tells."""
    if pod is None:
        return State.NOT_KNOWN
    if pod.deleted:
        return State.ENDING
    if pod.phase == "Succeeded":
        return State.SUCCEEDED
    if pod.phase == "Failed":
        return State.FAILED
    ready = pod.condition(READY)
    if ready and ready.status:
        return State.READY
    return State.NOT_READY if pod.complete else State.STARTING


def held_by(start: PodStart) -> Held | None:
    """What the start waited for longest, or waits for; None where that is not known."""
    if start.waiting:
        seconds = start.waited_seconds(start.waiting[0])
        return Held(start.waiting[0].what, (seconds or 0) * 1000, goes_on=True)
    if not start.measured:
        return None
    told = [(step.share * start.duration_ms, step) for step in start.steps if step.critical]
    told += [(step.duration_ms, step) for step in start.ready.steps if step.depth == 0]
    if not told:
        return None
    ms, step = max(told, key=lambda found: found[0])
    return Held(step.name, ms, exact=not (start.to_the_second and step.unexplained))


def _pod(found: PodObject, start: PodStart | None, workload: Workload | None) -> RolledPod:
    pod, exact = found.pod, False
    created = _moment(pod.created) if pod else None
    if start and start.beginning_known and not (pod and pod.mirror):
        created, exact = start.started_at, not (start.beginning_lost or start.to_the_second)
    ready, ready_exact = _ready(start, workload)
    state = state_of(pod)
    return RolledPod(
        found.namespace,
        found.name,
        found.uid,
        state,
        node=(pod.node if pod else "") or (start.node if start else ""),
        owner=found.owner,
        created=created,
        exact=exact,
        ready=ready,
        ready_exact=ready_exact,
        start=start,
        held=held_by(start) if start else None,
        why=_why(pod, state, start) if pod else "",
    )


def _ready(start: PodStart | None, workload: Workload | None) -> tuple[datetime | None, bool]:
    """When it was Ready; a Job's pod has done its start when its containers have started."""
    if start is None or not start.beginning_known:
        return None, False
    if workload and workload.kind is JOB:
        if not (start.complete and start.length_known):
            return None, False
        return start.started_at + timedelta(milliseconds=start.duration_ms), not start.to_the_second
    if start.ready.after_ms is None:
        return None, False
    exact = start.ready.source == SPAN and not start.beginning_lost
    return start.started_at + timedelta(milliseconds=start.ready.after_ms), exact


def _why(pod: Pod, state: State, start: PodStart | None) -> str:
    if state in _DONE:
        return ""
    if start and start.waiting:
        return start.waiting[0].what
    if state is State.FAILED:
        broken = [found.reason for found in pod.containers if found.kind == APP and found.reason]
        return pod.reason or ", ".join(dict.fromkeys(broken))
    ready = pod.condition(READY)
    return (ready.message or ready.reason) if ready else ""


def _other(found: PodObject, workload: Workload | None) -> OtherPod:
    pod = found.pod
    kept = workload is not None and _stays(found, workload)
    begun = _moment(pod.deletion_requested) if pod and pod.deleted else None
    return OtherPod(
        found.namespace,
        found.name,
        found.uid,
        state_of(pod),
        found.revision,
        pod.node if pod else "",
        Ending(begun, exact=False, grace=pod.grace if pod and pod.deleted else None),
        kept,
    )


def _stays(found: PodObject, workload: Workload) -> bool:
    ordinal = _ORDINAL.search(found.name)
    below = ordinal is not None and int(ordinal[1]) < workload.partition
    return workload.on_delete or (workload.kind is STATEFUL_SET and below)


@dataclass(frozen=True)
class _Parts:
    """When the newest rollout began, and which pods are of it."""

    sources: Sources

    @property
    def _created(self) -> list[datetime]:
        pods = (found.pod for found in self.sources.pods if found.current is not False)
        return sorted(filter(None, (_moment(pod.created) for pod in pods if pod)))

    @property
    def _revision_created(self) -> datetime | None:
        return self.sources.revision.created if self.sources.revision else None

    @property
    def is_scaled(self) -> bool:
        """Whether a Deployment scales it: the last write is one of many that made its pods."""
        return bool(self.sources.workload and self.sources.workload.scaled_by)

    @property
    def follows_creation(self) -> bool:
        """Whether the newest rollout is the first one of its revision."""
        return self.begun is not None and self.begun == self._revision_created

    @property
    def written(self) -> datetime | None:
        return self.begun if self.is_scaled else self.changed

    @property
    def changed(self) -> datetime | None:
        workload = self.sources.workload
        return (workload.changed or workload.created) if workload else None

    @property
    def write_made_no_pod(self) -> bool:
        """Whether every pod is older than the last write."""
        created, changed = self._created, self.changed
        return bool(created and changed and created[-1] < changed)

    @property
    def begun(self) -> datetime | None:
        """To the second."""
        created = self._created
        if not (self.write_made_no_pod or (self.is_scaled and created)):
            return self.changed
        since = self._revision_created
        slack = _SLACK
        if self.is_scaled and not self.sources.refused:
            slack = _AT_ONCE  # it may have been scaled down and up again soon
        if since and created and created[0] - since < slack:
            return since
        return created[0]

    def of(self, pod: RolledPod, current: Sequence[RolledPod]) -> Part:
        workload, begun = self.sources.workload, self.begun
        if workload is None or begun is None or pod.created is None:
            return Part.NEW
        if _second(pod.created) < _second(begun):
            return Part.BEFORE
        completed = workload.completed
        if completed and begun <= completed < _second(pod.created):
            return Part.LATER
        if self.sources.refused or workload.kind is JOB:
            return Part.NEW
        since = timedelta(seconds=workload.grace + workload.ready_seconds) + _SLACK
        ordered = sorted(
            (found for found in current if found.created and _second(found.created) >= begun),
            key=lambda found: (found.created, found.name),
        )
        over = begun
        for found in ordered:
            assert found.created  # noqa: S101  of these alone
            if found.created - over > since:
                return Part.LATER
            if found is pod or found.ready is None:
                break
            over = max(over, found.ready)
        return Part.NEW


def _notes(rollout: Rollout, sources: Sources, parts: _Parts) -> list[str]:
    workload = rollout.workload
    if workload is None:
        return []
    notes = []
    if workload.paused and workload.kind is DEPLOYMENT:
        notes.append("it is paused: changes of its template are not rolled out")
    if parts.is_scaled and parts.begun:
        notes += _scaled(rollout, parts, workload.scaled_by)
    elif parts.write_made_no_pod:
        notes.append("the last write of the object created no pod: told is what came before it")
    before = sum(pod.part is Part.BEFORE for pod in rollout.pods)
    if before:
        notes.append(
            f"{_pods(before, 'was', 'were')} there before the last write: only the starts of new "
            "pods are told"
        )
    unknown = [
        pod.name
        for pod in rollout.pods
        if pod.part is Part.NEW and pod.state in _DONE and pod.ready is None
    ]
    if unknown:
        notes.append(
            f"when some pods were done first is not known, so neither is how long all took: "
            f"{_some(unknown)}"
        )
    later = [pod.name for pod in rollout.pods if pod.part is Part.LATER]
    if later:
        notes.append(
            f"created when the rollout was over, and not counted in its time: {_some(later)}"
        )
    notes += _lost(rollout, workload)
    if kept := sum(other.kept for other in rollout.others):
        reason = "OnDelete" if workload.on_delete else f"partition {workload.partition}"
        notes.append(f"{_pods(kept, 'stays', 'stay')} of an older revision ({reason})")
    if workload.kind is DAEMON_SET and workload.wanted == 0:
        notes.append("no node is one that its pods may run on")
    if any(link.pod for link in rollout.chain[:-1]):
        notes.append("what a pod waited for before it was created is told by times, not by spans")
    if sources.refused:
        notes.append(f"its controller could not do all at once: {sources.refused[-1]}")
    return notes


def _lost(rollout: Rollout, workload: Workload) -> list[str]:
    """The pods of the newest revision that are gone, and what is not known because of that."""
    if not rollout.lost:
        return []
    lost = [pod.name for pod in rollout.lost]
    notes = [f"pods of the newest revision that are gone: {_some(lost)}"]
    if (new := rollout.replacing) and workload.kind is not JOB:
        notes.append(
            "how long the rollout took is not known: perhaps in the place of those, as not Ready "
            f"before one of them was removed: {_some([pod.name for pod in new])}"
        )
    return notes


def _scaled(rollout: Rollout, parts: _Parts, owner: str) -> list[str]:
    """With what the rollout of a ReplicaSet of ``owner`` begins."""
    if not any(pod.created for pod in rollout.pods):
        return []
    if parts.follows_creation:
        return [f"{owner} scales it step by step: told is what followed its creation"]
    what = "write that gave it" if rollout.write else "creation of"
    return [f"it is older than its pods: told is what followed the {what} the first of those "
            "that are there"]  # fmt: skip


def _pods(number: int, one: str, more: str) -> str:
    return f"1 pod {one}" if number == 1 else f"{number} pods {more}"


def _some(names: Sequence[str]) -> str:
    first = ", ".join(names[:3])
    return first if len(names) <= 3 else f"{first} and {len(names) - 3} more"


def _slowest_first(pod: RolledPod) -> tuple[object, ...]:
    undone = pod.state not in (*_DONE, State.ENDING)
    return (
        not undone,
        pod.part is not Part.NEW,
        -(pod.took_ms if pod.took_ms is not None else -1),
        pod.namespace,
        pod.name,
    )


def _second(moment: datetime) -> datetime:
    return moment.replace(microsecond=0)


def _moment(microseconds: int | None) -> datetime | None:
    if microseconds is None:
        return None
    return datetime.fromtimestamp(microseconds / SECOND, tz=UTC)
