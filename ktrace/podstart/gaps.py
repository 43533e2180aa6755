"""The time between the kubelet's calls: when it is shown, and what is known to have filled it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from ktrace.brief import invariant
from ktrace.jaeger import Span
from ktrace.podstart import sync_errors
from ktrace.podstart.calls import PULL, SANDBOX, START, Call
from ktrace.podstart.model import Pull
from ktrace.podstart.pod import APP, EXEC, INIT, SECOND, SIDECAR, Container, Pod, PodEvent
from ktrace.podstart.progress import startup_probe

NOT_TRACED = "not traced"
POST_START = "postStart of"
VOLUMES = "the volume manager looks every 300 ms"
_SHORTEST_MS = 5.0
_SMALLEST_SHARE = 0.01
_ALWAYS_SHOWN_MS = 100.0
_LOOK = 300_000
"""How often the kubelet's volume manager looks whether a pod's volumes are mounted, in microseconds
(podAttachAndMountRetryInterval in pkg/kubelet/volumemanager of Kubernetes). The first look, at
once, finds nothing mounted."""
_LOOKS = 2
"""After the first one. The mount itself begins up to 300 ms after the pod was seen (three loops of
100 ms): the first of these may come too early, and the second finds small volumes mounted."""
_LATE = 50_000
"""What the kubelet may still do after a look."""
_NO_SANDBOX = "FailedCreatePodSandBox"
_END_A_SYNC = ("FailedMount", "FailedAttachVolume", "NetworkNotReady", _NO_SANDBOX)
"""Reasons of Events that tell why the kubelet ended a syncPod before it made a container."""
_BACK_OFF = "BackOff"
NO_HANDLER = "FailedPostStartHook"
_TOLERANCE = 20_000
"""Between the end of another pod's pull and the beginning of the one that waited for it."""


@dataclass(frozen=True)
class Context:
    """What is known of the pod besides its calls; times are those of the node's clock."""

    syncs: Sequence[Span] = ()
    """The syncPods that have ended, ordered by start."""
    pod: Pod | None = None
    events: Sequence[PodEvent] = ()
    pulls: Sequence[Pull] = ()
    names: Mapping[str, str] = field(default_factory=dict)
    """Containers' names by their ids."""
    failed_sandboxes: Sequence[int] = ()
    """When calls that had to make the sandbox failed, ordered."""

    def syncs_ended(self, begin: int, end: int) -> list[Span]:
        """Those that end between ``begin`` and ``end``, ordered by their ends."""
        place = bisect_right(self._by_end, end, key=_end)
        return self._by_end[bisect_right(self._by_end, begin - 1, key=_end) : place]

    def begins_sync(self, begin: int, end: int) -> bool:
        """Whether a sync begins after ``begin``, and not after ``end``."""
        place = bisect_right(self.syncs, begin, key=_start)
        return place < len(self.syncs) and self.syncs[place].start <= end

    def pulls_ended(self, begin: int, end: int) -> list[Pull]:
        """Those that end after ``begin``, and not after ``end``."""
        since, until = (bisect_right(self._pulls, time, key=_end) for time in (begin, end))
        return self._pulls[since:until]

    def causes(self, previous: Call | None, following: Call | None) -> list[PodEvent]:
        """The Events that can tell why the kubelet did not go on between the two calls."""
        reasons: tuple[str, ...] = ()
        if previous is None or following is None or previous.trace is not following.trace:
            reasons = _END_A_SYNC
        if previous and previous.method == START:
            reasons += (NO_HANDLER,)
        return [event for event in self._exact_events if event.reason in reasons]

    @cached_property
    def _exact_events(self) -> list[PodEvent]:
        """Events tell whole seconds: one about a sandbox comes after the call that failed."""
        return [
            self._after_its_call(event) if event.reason == _NO_SANDBOX else event
            for event in self.events
        ]

    def _after_its_call(self, event: PodEvent) -> PodEvent:
        place = bisect_right(self.failed_sandboxes, event.first + SECOND) - 1
        failed = self.failed_sandboxes[place] if place >= 0 else event.first
        first = max(event.first, failed)
        return replace(event, first=first, last=max(event.last, first))

    @cached_property
    def _by_end(self) -> list[Span]:
        return sorted(self.syncs, key=_end)

    @cached_property
    def _pulls(self) -> list[Pull]:
        return sorted(self.pulls, key=_end)


@dataclass(frozen=True)
class Part:
    """A part of a gap, in microseconds; ``known`` is whether its name is known to be its cause."""

    name: str
    start: int
    end: int
    known: bool = True


def _start(timed: Span | Pull) -> int:
    return timed.start


def _end(timed: Span | Pull) -> int:
    return timed.end


def is_shown(gap_ms: float, start_ms: float) -> bool:
    """Whether a gap is long enough, within a start of ``start_ms``, to be a step of its own."""
    return gap_ms >= min(_ALWAYS_SHOWN_MS, max(_SHORTEST_MS, start_ms * _SMALLEST_SHARE))


def parts(
    previous: Call | None, following: Call | None, begin: int, end: int, known: Context
) -> list[Part]:
    """The gap from ``begin`` to ``end``, between two calls, by what filled it.

    ``previous`` is None before the first call; ``following`` is None after the last one.
    """
    if cause := _event(previous, following, begin, end, known):
        return [Part(cause, begin, end)]
    if failures := _failures(begin, end, known):
        return _around(failures, previous, begin, end, known)
    if following and following.method == PULL:
        queued = _queued(following, begin, end)
        if held := _held(queued, end, known):
            before = _between(previous, following, begin, queued, known) if begin < queued else []
            return [*before, *held]
    return _between(previous, following, begin, end, known)


def told_by_events(begin: int, end: int, known: Context) -> list[Part]:
    """The time from ``begin`` to ``end`` where no span of the kubelet is left.

    Of what an Event tells, only the time between its first and its last is known: what the kubelet
    did before and after that is not.
    """
    by_reason: dict[str, list[PodEvent]] = {}
    for event in sorted(known.events, key=lambda event: event.first):
        if event.reason in _END_A_SYNC:
            by_reason.setdefault(event.reason, []).append(event)
    found: list[Part] = []
    covered = begin
    for reason, events in by_reason.items():
        start = max(covered, events[0].first)
        last = max(events, key=lambda event: event.last)
        until = min(last.last, end)
        if until <= start:
            continue
        if covered < start:
            found.append(Part(NOT_TRACED, covered, start, known=False))
        found.append(Part(last.explaining(f"waits ({reason})"), start, until))
        covered = until
    return [*found, *_rest(covered, end)]


def may_be_held(pull: Call, begin: int, length_ms: float) -> tuple[int, int] | None:
    """When ``pull`` may have waited for those of other pods, in a start of ``length_ms``; None if
    it did not. ``begin`` is the end of the call before it."""
    queued = _queued(pull, begin, pull.span.start)
    long = is_shown((pull.span.start - queued) / 1000, length_ms)
    return (queued, pull.span.start) if long else None


def _queued(pull: Call, begin: int, end: int) -> int:
    """From when on ``pull`` may wait for those of other pods: the kubelet queues it in its sync.

    That is ``begin`` where what lies before the sync is not worth a step.
    """
    since = min(max(begin, pull.sync_start), end)
    return since if is_shown((since - begin) / 1000, (end - begin) / 1000) else begin


def _between(
    previous: Call | None, following: Call | None, begin: int, end: int, known: Context
) -> list[Part]:
    """What filled the time but failures and the pulls of others."""
    if previous and (cause := _after_start(previous, following, begin, end, known)):
        return [Part(cause, begin, end)]
    if previous is None and following and following.method == SANDBOX:
        return _before_sandbox(begin, end, known.pod)
    return [Part(NOT_TRACED, begin, end, known=False)]


def _event(
    previous: Call | None, following: Call | None, begin: int, end: int, known: Context
) -> str:
    """What the kubelet told in Events; empty if it told nothing.

    An Event of the second in which a call ended came before the call, unless it is about the call's
    own failure.
    """
    told = [
        event
        for event in known.causes(previous, following)
        if event.first < end and event.last + (0 if previous else SECOND) >= begin
    ]
    if told:
        reason = told[-1].reason
        if reason == _NO_SANDBOX and previous and previous.method == SANDBOX and previous.failed:
            return f"waits until the kubelet tries again ({reason})"
        return told[-1].explaining(f"waits ({reason})")
    return ""


def _failures(begin: int, end: int, known: Context) -> list[Part]:
    """What the errors of the kubelet's syncs tell: each holds until a sync begins that has another
    one or none, and a back-off is a part of what failed before it.

    A sync that ends after the gap made the call that follows: its error came later.
    """
    found: list[Part] = []
    kind = ""
    for sync in known.syncs_ended(begin, end):
        start = min(max(sync.start, begin), end)
        errors = [error for error in _errors(sync) if not _is_of_a_started_one(error, known.pod)]
        cause = "; ".join(dict.fromkeys(map(_told, errors)))
        goes_on = cause and (kind == invariant(cause) or _is_back_off(errors))
        if kind and goes_on:
            found[-1] = replace(found[-1], name=cause)
        elif kind:
            found[-1] = replace(found[-1], end=max(start, found[-1].start))
        if cause and not (kind and goes_on):
            found.append(Part(cause, start, end))
        kind = invariant(cause)
    total_ms = (end - begin) / 1000
    return [part for part in found if is_shown((part.end - part.start) / 1000, total_ms)]


def _errors(sync: Span) -> list[sync_errors.SyncError]:
    return sync_errors.parse(sync.error) if sync.failed else []


def _is_of_a_started_one(error: sync_errors.SyncError, pod: Pod | None) -> bool:
    """Whether it is of a container that has started, and for which no other one waits."""
    container = pod.container(error.container) if pod and error.container else None
    crashes = error.reason == sync_errors.CRASH_LOOP
    return bool(container and container.started and container.kind == APP and crashes)


def _is_back_off(errors: Sequence[sync_errors.SyncError]) -> bool:
    """Whether the kubelet waits because of what failed before, such as a pull."""
    return all(error.reason.endswith(_BACK_OFF) for error in errors)


def _around(
    failures: Sequence[Part], previous: Call | None, begin: int, end: int, known: Context
) -> list[Part]:
    """The gap with ``failures`` in it, in their order, and what is known of the time between."""
    found: list[Part] = []
    covered = begin
    for failure in failures:
        if is_shown((failure.start - covered) / 1000, (end - begin) / 1000):
            found += _between(previous, None, covered, failure.start, known)
            covered = failure.start
        until = max(covered, failure.end)
        found.append(replace(failure, start=covered, end=until))
        covered = until
    if is_shown((end - covered) / 1000, (end - begin) / 1000):
        found += _between(previous, None, covered, end, known)
    else:
        found[-1] = replace(found[-1], end=end)
    return found


def _told(error: sync_errors.SyncError) -> str:
    reason = f" ({error.reason})" if error.reason else ""
    return f"waits{reason}: {sync_errors.short(error.message)}"


def _held(begin: int, end: int, known: Context) -> list[Part]:
    """The pulls of other pods that the kubelet ended before it began the one that follows."""
    before = sorted(
        (pull for pull in known.pulls_ended(begin, end + _TOLERANCE) if pull.start < end),
        key=lambda pull: pull.start,
    )
    found: list[Part] = []
    covered = begin
    for pull in before:
        start, until = max(covered, pull.start), min(pull.end, end)
        if until <= start:
            continue
        if is_shown((start - covered) / 1000, (end - begin) / 1000):
            found.append(Part(NOT_TRACED, covered, start, known=False))
        else:
            start = covered
        whose = pull.pod or "another pod"
        what = f" of {pull.image}" if pull.image else ""
        found.append(Part(f"waits for the pull{what} by {whose}", start, until))
        covered = until
    if found and is_shown((end - covered) / 1000, (end - begin) / 1000):
        found.append(Part(NOT_TRACED, covered, end, known=False))
    return found


def _after_start(
    previous: Call, following: Call | None, begin: int, end: int, known: Context
) -> str:
    """What the pod's specification says that the kubelet waits for after a container's start."""
    container = _container(previous, known)
    if container is None or previous.method != START or previous.failed:
        return ""
    same_sync = following is not None and following.trace is previous.trace
    if same_sync and container.post_start:
        if container.post_start == EXEC:
            return ""  # it has a span of its own
        return handler(container)
    if same_sync or not known.begins_sync(begin, end):
        return ""
    if container.kind == INIT:
        again = following is not None and following.container_name == container.name
        runs = "runs and fails" if again else "runs"
        return f"init container {container.name} {runs}, then the kubelet's next sync"
    if container.kind == SIDECAR:
        if container.startup_probe:
            return startup_probe(container, known.events)
        return f"sidecar {container.name} has started, then the kubelet's next sync"
    return ""


def handler(container: Container) -> str:
    """A postStart handler that has no span: only the pod's specification tells of it."""
    return f"{POST_START} {container.name} ({container.post_start})"


def _container(call: Call, known: Context) -> Container | None:
    name = known.names.get(call.container_id, "")
    return known.pod.container(name) if known.pod and name else None


def _before_sandbox(begin: int, end: int, pod: Pod | None) -> list[Part]:
    has_volumes = pod is None or pod.has_volumes
    looks, more = divmod(end - begin, _LOOK)
    if not has_volumes or not 1 <= looks <= _LOOKS or (looks > 1 and more > _LATE):
        return [Part(NOT_TRACED, begin, end, known=False)]
    looked = end if more <= _LATE else begin + looks * _LOOK
    return [Part(VOLUMES, begin, looked), *_rest(looked, end)]


def _rest(begin: int, end: int) -> Iterator[Part]:
    if begin < end:
        yield Part(NOT_TRACED, begin, end, known=False)
