"""The pod object and its Events as ktrace reads them: which containers must start, and which have.

Times are in microseconds since the Unix epoch. Those of the pod object have a resolution of one
second. Whatever a document lacks is empty: an API server of any release, and any pod, can be read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from ktrace.api import maps
from ktrace.podstart import claims
from ktrace.podstart.claims import Claim

SECOND = 1_000_000
"""In microseconds."""
INIT = "init container"
SIDECAR = "sidecar"
APP = "container"
EXEC = "exec"
READY = "Ready"
SCHEDULED = "PodScheduled"
DISRUPTION = "DisruptionTarget"
_CONFIG_ANNOTATIONS = ("kubernetes.io/config.hash", "kubernetes.io/config.mirror")
"""On a mirror pod: the uid of the static pod that it stands for."""
_MIRROR_ANNOTATION = "kubernetes.io/config.mirror"
NEVER_RAN = ("StartError", "ContainerCannotRun", "ContainerStatusUnknown")
"""Reasons of a container's end that is none: its process was never seen to run."""
_FIELD_PATH = re.compile(r"\{(.+)\}")
COMBINED = "(combined from similar events): "
"""What a client puts before the message of an Event that it sends for several."""
_LONGEST_MESSAGE = 1024


@dataclass(frozen=True)
class Exit:
    """How a container that ran has ended."""

    reason: str
    code: int | None = None
    started: int | None = None
    finished: int | None = None

    def __str__(self) -> str:
        return self.reason if self.code is None else f"{self.reason}, exit code {self.code}"


@dataclass(frozen=True)
class Container:
    """A container that must start: no ephemeral one."""

    name: str
    kind: str = APP
    """INIT, SIDECAR (an init container that is restarted always) or APP."""
    image: str = ""
    post_start: str = ""
    """The kind of its postStart handler, such as EXEC or ``httpGet``; empty without one."""
    startup_probe: bool = False
    readiness_probe: bool = False
    probe_delay: int = 0
    """How long after its start its start-up and readiness probes have all begun at the earliest, in
    microseconds."""
    started: bool = False
    """Whether it has been started at least once."""
    running: bool = False
    ready: bool = False
    passed_startup: bool = False
    started_at: int | None = None
    """When it was first started; None if that is not known."""
    runs_since: int | None = None
    """When the one that runs now was started."""
    last_exit: Exit | None = None
    """Of the one that ran last and has ended."""
    restarts: int = 0
    reason: str = ""
    """Why it waits, or why it has ended."""
    message: str = ""
    pre_stop: str = ""
    """The kind of its preStop handler, like ``post_start``."""
    id: str = ""
    """The runtime's id of the one that runs, or ran last."""
    exit_code: int | None = None
    """Of the one that ran last, if it has ended."""
    finished_at: int | None = None


@dataclass(frozen=True)
class Condition:
    type: str
    status: bool
    """False where it is not known, too."""
    since: int | None = None
    reason: str = ""
    message: str = ""
    unknown: bool = False


@dataclass(frozen=True)
class Pod:
    """``uids`` are those that spans and Events know the pod by; a mirror pod has several."""

    uids: tuple[str, ...] = ()
    node: str = ""
    created: int | None = None
    deleted: bool = False
    deletion_requested: int | None = None
    """When its deletion was requested; None if it was not, or that is not known."""
    grace: int | None = None
    """Seconds that its containers are given to end; None if its deletion was not requested. 0 once
    the kubelet has ended it, or if it was deleted by force."""
    finalizers: tuple[str, ...] = ()
    mirror: bool = False
    """Whether it stands for a static pod: the kubelet began before the API server had it."""
    phase: str = ""
    reason: str = ""
    message: str = ""
    acknowledged: int | None = None
    """When the kubelet first saw it."""
    containers: tuple[Container, ...] = ()
    ephemeral: tuple[str, ...] = ()
    conditions: tuple[Condition, ...] = ()
    scheduler: str = ""
    """Whose it is to find a node, as its specification says."""
    scheduling_gates: tuple[str, ...] = ()
    readiness_gates: tuple[str, ...] = ()
    has_volumes: bool = True
    claims: tuple[Claim, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether every container that must start has started."""
        return bool(self.containers) and all(container.started for container in self.containers)

    @property
    def waits_for_scheduler(self) -> bool:
        """Whether a node has to be found for it, and no gate holds that up."""
        return not (self.node or self.scheduling_gates or self.deleted or self.ended)

    @property
    def waits_for_kubelet(self) -> bool:
        """Whether its node has to go on with its start."""
        return bool(self.node) and not (self.deleted or self.complete or self.ended)

    @property
    def made_unready(self) -> bool:
        """Whether it is not Ready and nothing says why: the kubelet always does, and the controller
        that does so for the pods of a node that does not answer does not."""
        ready = self.condition(READY)
        silent = ready is not None and not (ready.status or ready.reason or ready.message)
        return silent and bool(self.node) and not (self.deleted or self.ended)

    @property
    def ended(self) -> bool:
        """Whether nothing of it will run any more."""
        return self.phase in ("Failed", "Succeeded")

    def condition(self, kind: str) -> Condition | None:
        return next((found for found in self.conditions if found.type == kind), None)

    def container(self, name: str) -> Container | None:
        return next((found for found in self.containers if found.name == name), None)


@dataclass(frozen=True)
class PodEvent:
    """One Event of the pod; ``container`` is empty where it is about the whole pod.

    ``uid`` is that of the pod, empty where the Event does not tell.
    """

    reason: str
    message: str
    first: int
    last: int
    count: int = 1
    container: str = ""
    uid: str = ""

    def explaining(self, what: str) -> str:
        """``what`` with the Event's message as its reason, if it has one."""
        return f"{what}: {self.message}" if self.message else what


def pod_of(document: Any) -> Pod:
    """A pod from its JSON."""
    meta, spec, status = (_map(_map(document).get(key)) for key in ("metadata", "spec", "status"))
    annotations = _map(meta.get("annotations"))
    uids = [_text(meta.get("uid")), *(_text(annotations.get(key)) for key in _CONFIG_ANNOTATIONS)]
    init = [
        (SIDECAR if container.get("restartPolicy") == "Always" else INIT, container)
        for container in maps(spec.get("initContainers"))
    ]
    app = [(APP, container) for container in maps(spec.get("containers"))]
    statuses = {
        _text(found.get("name")): found
        for key in ("initContainerStatuses", "containerStatuses")
        for found in maps(status.get(key))
    }
    containers = [
        _container(kind, container, statuses.get(_text(container.get("name")), {}))
        for kind, container in (*init, *app)
    ]
    return Pod(
        uids=tuple(dict.fromkeys(uid for uid in uids if uid)),
        node=_text(spec.get("nodeName")),
        created=moment(meta.get("creationTimestamp")),
        deleted="deletionTimestamp" in meta,
        deletion_requested=deletion_requested(meta),
        grace=_whole(meta.get("deletionGracePeriodSeconds")),
        finalizers=tuple(filter(None, map(_text, _list(meta.get("finalizers"))))),
        mirror=_MIRROR_ANNOTATION in annotations,
        phase=_text(status.get("phase")),
        reason=_text(status.get("reason")),
        message=_text(status.get("message")),
        acknowledged=moment(status.get("startTime")),
        containers=_with_earlier_ones(containers),
        ephemeral=_names(spec.get("ephemeralContainers")),
        conditions=tuple(map(_condition, maps(status.get("conditions")))),
        scheduler=_text(spec.get("schedulerName")),
        scheduling_gates=_names(spec.get("schedulingGates")),
        readiness_gates=tuple(
            _text(gate.get("conditionType")) for gate in maps(spec.get("readinessGates"))
        ),
        has_volumes=bool(spec.get("volumes")),
        claims=tuple(claims.of(spec, status)),
    )


def events_of(document: Any, pod: Pod | None) -> tuple[PodEvent, ...]:
    """The Events of ``pod`` from the JSON of a list, ordered by time.

    Those of another pod that had the same name are left out.
    """
    found = []
    for item in maps(_map(document).get("items")):
        involved = _map(item.get("involvedObject"))
        uid = _text(involved.get("uid"))
        if pod and uid and uid not in pod.uids:
            continue
        if event := _event(item, _text(involved.get("fieldPath"))):
            found.append(replace(event, uid=uid))
    return tuple(sorted(found, key=lambda event: (event.first, event.last)))


def condition_of(document: Any, kind: str) -> Condition | None:
    """The condition ``kind`` of any object, from its JSON."""
    found = map(_condition, maps(_map(_map(document).get("status")).get("conditions")))
    return next((condition for condition in found if condition.type == kind), None)


def moment(value: Any) -> int | None:
    """A timestamp of Kubernetes; None for anything else, and for the time zero of Go and Unix."""
    try:
        found = datetime.fromisoformat(str(value).replace("Z", "+00:00"))
        if found.tzinfo is None:
            found = found.replace(tzinfo=UTC)
        microseconds = round(found.timestamp() * SECOND)
    except (ValueError, OverflowError, OSError):
        return None
    return microseconds if microseconds > 0 else None


def deletion_requested(meta: Mapping[str, Any]) -> int | None:
    """Of any object's metadata: the API server notes the end of the grace period."""
    end, grace = moment(meta.get("deletionTimestamp")), meta.get("deletionGracePeriodSeconds")
    return end - grace * SECOND if end is not None and isinstance(grace, int) else None


def _event(item: Mapping[str, Any], field_path: str) -> PodEvent | None:
    """None without any time: it could not be placed."""
    series = _map(item.get("series"))
    meta = _map(item.get("metadata"))
    beginnings = (item.get("firstTimestamp"), item.get("eventTime"), meta.get("creationTimestamp"))
    ends = (item.get("lastTimestamp"), series.get("lastObservedTime"), *beginnings)
    first = next(filter(None, map(moment, beginnings)), None)
    last = max(filter(None, map(moment, ends)), default=None)
    if first is None or last is None:
        return None
    name = _FIELD_PATH.search(field_path)
    counts = (item.get("count"), series.get("count"))
    return PodEvent(
        reason=_text(item.get("reason")),
        message=_text(item.get("message")).removeprefix(COMBINED),
        first=first,
        last=last,
        count=next((count for count in counts if isinstance(count, int) and count > 0), 1),
        container=name[1] if name else "",
    )


def _container(kind: str, spec: Mapping[str, Any], status: Mapping[str, Any]) -> Container:
    state, last_state = _map(status.get("state")), _map(status.get("lastState"))
    running, ended = _map(state.get("running")), _map(state.get("terminated"))
    waiting, ended_before = _map(state.get("waiting")), _map(last_state.get("terminated"))
    restarts = status.get("restartCount")
    restarts = restarts if isinstance(restarts, int) and restarts > 0 else 0
    times = [moment(found.get("startedAt")) for found in (running, ended) if found]
    told = waiting or ended
    lifecycle = _map(spec.get("lifecycle"))
    post_start, pre_stop = (_map(lifecycle.get(kind)) for kind in ("postStart", "preStop"))
    own_id = _text(status.get("containerID")) or _text(ended.get("containerID"))
    return Container(
        name=_text(spec.get("name")),
        kind=kind,
        image=_text(spec.get("image")),
        post_start=next(map(_text, post_start), ""),
        startup_probe=bool(spec.get("startupProbe")),
        readiness_probe=bool(spec.get("readinessProbe")) and kind != INIT,
        probe_delay=max(map(_delay, (spec.get("startupProbe"), spec.get("readinessProbe")))),
        started="running" in state or _has_run(ended) or _has_run(ended_before),
        running="running" in state,
        ready=status.get("ready") is True,
        passed_startup=status.get("started") is True,
        started_at=next(filter(None, times), None) if restarts == 0 else None,
        runs_since=moment(running.get("startedAt")),
        last_exit=next((_exit(found) for found in (ended, ended_before) if _has_run(found)), None),
        restarts=restarts,
        reason=_text(told.get("reason")),
        message=_text(told.get("message")),
        pre_stop=next(map(_text, pre_stop), ""),
        id=own_id.rpartition("/")[2],
        exit_code=_whole(ended.get("exitCode")),
        finished_at=moment(ended.get("finishedAt")),
    )


def _delay(probe: Any) -> int:
    return max(0, _whole(_map(probe).get("initialDelaySeconds")) or 0) * SECOND


def _has_run(terminated: Mapping[str, Any]) -> bool:
    """Whether a container that has ended ever ran: a failed start has the time zero."""
    if not terminated or terminated.get("reason") in NEVER_RAN:
        return False
    return moment(terminated.get("startedAt")) is not None


def _exit(terminated: Mapping[str, Any]) -> Exit:
    return Exit(
        _text(terminated.get("reason")) or "ended",
        _whole(terminated.get("exitCode")),
        moment(terminated.get("startedAt")),
        moment(terminated.get("finishedAt")),
    )


def _with_earlier_ones(containers: Sequence[Container]) -> tuple[Container, ...]:
    """An init container has started if a container after it has: the kubelet forgets old ones."""
    last = max((number for number, found in enumerate(containers) if found.started), default=-1)
    return tuple(
        replace(container, started=True, reason="", message="")
        if number < last and container.kind != APP and not container.started
        else container
        for number, container in enumerate(containers)
    )


def _condition(document: Mapping[str, Any]) -> Condition:
    return Condition(
        type=_text(document.get("type")),
        status=document.get("status") == "True",
        since=moment(document.get("lastTransitionTime")),
        reason=_text(document.get("reason")),
        message=_text(document.get("message")),
        unknown=document.get("status") == "Unknown",
    )


def _names(value: Any) -> tuple[str, ...]:
    return tuple(_text(entry.get("name")) for entry in maps(value))


def _map(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else ()


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _text(value: Any) -> str:
    """One line of at most _LONGEST_MESSAGE characters; whoever reads a document cleans it."""
    if not isinstance(value, str):
        return ""
    line = " ".join(value.split())
    return line if len(line) <= _LONGEST_MESSAGE else f"{line[: _LONGEST_MESSAGE - 1]}…"
