"""The kubelet's calls to the container runtime, as the traces of a pod's syncPods show them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

from ktrace.components import KUBELET
from ktrace.jaeger import Span, Trace
from ktrace.podstart import sync_errors
from ktrace.podstart.pod import APP, INIT, Pod
from ktrace.podstart.pod import EXEC as EXEC_HANDLER

SYNC = "syncPod"
SANDBOX = "RunPodSandbox"
PULL = "PullImage"
CREATE = "CreateContainer"
START = "StartContainer"
EXEC = "ExecSync"
"""A container's postStart handler: those of probes and of preStop are left out by ``_Handlers``."""
_METHODS = (SANDBOX, PULL, CREATE, START, EXEC)
_STOP = "StopContainer"
_CRI_PREFIX = "runtime.v1."
_CONTAINER_ID = "container.id"
_CONTAINER_NAME = "container.name"
_IMAGE_TAGS = ("container.image.ref", "image.ref", "image.name", "image")


@dataclass(frozen=True)
class Call:
    """One call; ``span`` is the kubelet's own span of it."""

    trace: Trace
    span: Span
    created: Call | None = None
    """Of a StartContainer: the CreateContainer before it, which is of the same container."""

    @cached_property
    def method(self) -> str:
        """``StartContainer``, without the CRI service's name."""
        return _method(self.span)

    @cached_property
    def below(self) -> Sequence[Span]:
        """What the runtime did for the call; empty where that is not traced or has not arrived."""
        return self.trace.below(self.span)

    @cached_property
    def container_id(self) -> str:
        found = self._tag(_CONTAINER_ID)
        return found or (self.created.container_id if self.created else "")

    @cached_property
    def container_name(self) -> str:
        """containerd's own name of a container is NAME_POD_NAMESPACE_UID_ATTEMPT."""
        return self._tag(_CONTAINER_NAME).partition("_")[0]

    @property
    def attempt(self) -> int | None:
        """0 for the first container of a name in its pod; None where the runtime does not tell."""
        number = self._tag(_CONTAINER_NAME).rpartition("_")[2]
        return int(number) if number.isdecimal() else None

    @property
    def sync_start(self) -> int:
        """When its syncPod began, as far as spans tell; in microseconds."""
        return self.trace.spans[0].start

    @property
    def image(self) -> str:
        return self._tag(*_IMAGE_TAGS)

    @property
    def failed(self) -> bool:
        return bool(self.error)

    @property
    def error(self) -> str:
        """Why the call failed, from the outermost failed span; empty where it did not fail.

        The runtime may go on after a failure inside a call: the call's own spans decide.
        """
        within = (self.span, *self.below)
        own = (span for span in within if _method_name(span.operation) == self.method)
        return next((span.error for span in own if span.failed), "")

    def _tag(self, *keys: str) -> str:
        """The first of ``keys`` on the call's span or, as containerd sets them, below it."""
        for span in (self.span, *self.below):
            for key in keys:
                if key in span.tags:
                    return str(span.tags[key])
        return ""


def whole_start(trace: Trace) -> bool:
    """Whether a container has started in this ended syncPod, and the runtime's part of every call
    is there: then nothing more of it comes, as every exporter sends spans in the order they end."""
    calls = [Call(trace, span) for span in trace.spans if _method(span)]
    started = any(call.method == START and not call.failed for call in calls)
    ended = any(span.operation == SYNC for span in trace.spans)
    return started and ended and all(call.below for call in calls)


def has_calls(trace: Trace) -> bool:
    """Whether the kubelet changed something in it: most syncPods only look at the pod."""
    return any(_method(span) in _METHODS for span in trace.spans)


def all_calls(syncs: Iterable[Trace], pod: Pod | None = None) -> list[Call]:
    """Ordered by start."""
    calls = [
        Call(trace, span) for trace in syncs for span in trace.spans if _method(span) in _METHODS
    ]
    handlers = _Handlers(container_names(calls), pod)
    return _paired(handlers.of(sorted(calls, key=lambda call: call.span.start)))


def _paired(calls: Iterable[Call]) -> list[Call]:
    """With ``created``: within a syncPod the kubelet starts each container before the next."""
    created: dict[str, Call] = {}
    paired = []
    for call in calls:
        if call.method == CREATE:
            created[call.trace.id] = call
        before = created.pop(call.trace.id, None) if call.method == START else None
        paired.append(replace(call, created=before) if before else call)
    return paired


def _end_of_sync(trace: Trace) -> int | None:
    """None for a syncPod that has not ended."""
    return max((span.end for span in trace.spans if span.operation == SYNC), default=None)


@dataclass(frozen=True)
class _Handlers:
    """Tells the ExecSyncs of postStart handlers from those of probes and of preStop handlers.

    The kubelet runs the handler of a container between its start and whatever it does next, within
    the syncPod. The probes that a syncPod sets up may have it as their parent for as long as the
    container runs (seen with Kubernetes 1.36), but begin after its end. A container whose handler
    has failed is stopped, after its preStop handler.
    """

    names: Mapping[str, str]
    pod: Pod | None

    def of(self, calls: Iterable[Call]) -> Iterator[Call]:
        """``calls``, ordered by start, without the ExecSyncs that are not known to be one."""
        before: dict[str, Call] = {}
        ends: dict[str, int | None] = {}
        for call in calls:
            key = call.trace.id
            if call.method == EXEC:
                if not _follows_the_start(call, before.get(key)):
                    continue
                if key not in ends:
                    ends[key] = _end_of_sync(call.trace)
                if not self._is_one(call, ends[key]):
                    continue
            before[key] = call
            yield call

    def _is_one(self, call: Call, end_of_sync: int | None) -> bool:
        name = self.names.get(call.container_id, "")
        of_pod = self.pod.containers if self.pod else ()
        has_one = any(
            found.post_start == EXEC_HANDLER for found in of_pod if name in ("", found.name)
        )
        if of_pod or end_of_sync is None:
            return has_one and (end_of_sync is None or call.span.start < end_of_sync)
        return call.span.start < end_of_sync and not _may_be_a_pre_stop(call)


def _follows_the_start(call: Call, previous: Call | None) -> bool:
    """Whether ``previous``, the one before it in its syncPod, has started its container."""
    if previous is None or previous.method != START or previous.failed:
        return False
    ids = call.container_id, previous.container_id
    return ids[0] == ids[1] or not all(ids)


def _may_be_a_pre_stop(call: Call) -> bool:
    """Whether the kubelet then stops the container, and no other ExecSync is before that.

    Its postStart handler, which has failed, may have been no command, and this be its preStop.
    """
    later = [
        other
        for span in call.trace.spans
        if _method(span) in (EXEC, _STOP) and span.start > call.span.start
        if (other := Call(call.trace, span)).container_id in ("", call.container_id)
    ]
    following = min(later, key=lambda other: other.span.start, default=None)
    return following is not None and following.method == _STOP


def changes_nothing(trace: Trace, begin: int, end: int) -> bool:
    """Whether the kubelet made no call between these two that changes something."""
    changing = (*_METHODS, _STOP)
    return not any(begin <= span.start < end and _method(span) in changing for span in trace.spans)


def first_calls(
    syncs: Sequence[Trace],
    pod: Pod | None = None,
    until: float = float("inf"),
    *,
    beginning_lost: bool = False,
) -> list[Call]:
    """The calls up to each container's first start, ordered by start.

    Left out are restarts, ephemeral containers, and what begins after ``until``, in microseconds.
    ``beginning_lost``: whether ``syncs`` may lack the first ones; then what may be a restart is
    left out, too.
    """
    calls = [call for call in all_calls(syncs, pod) if call.span.start < until]
    if names := container_names(calls):
        others = set(pod.ephemeral) if pod else set()
        left_out = _restarted(calls, names, pod) | {
            container_id for container_id, name in names.items() if name in others
        }
        if beginning_lost:
            left_out |= _perhaps_restarted(calls, names, pod)
            if pod and pod.complete and left_out >= names.keys():
                return []  # a sandbox or a pull is not of the start either
        return [call for call in calls if call.container_id not in left_out or call.method == EXEC]
    if beginning_lost and _have_restarted(pod):
        return []
    return _without_restarts(calls, syncs, pod)


def lacks_the_first(syncs: Iterable[Trace], pod: Pod | None = None) -> bool:
    """Whether calls are known to be missing before all of those that ``syncs`` have.

    The kubelet makes the sandbox before all else, and numbers a name's containers from 0. A sync
    that outlives the traces around it may have lost its first calls and kept the others.
    """
    calls = all_calls(syncs, pod)
    if not calls:
        return False
    created = next((call for call in calls if call.method == CREATE), None)
    return calls[0].method != SANDBOX or bool(created and created.attempt)


def up_to_last_start(calls: Sequence[Call]) -> list[Call]:
    """Without what follows the last start; all of ``calls`` where nothing was started."""
    starts = [index for index, call in enumerate(calls) if call.method == START]
    return list(calls[: starts[-1] + 1] if starts else calls)


def container_names(calls: Iterable[Call]) -> dict[str, str]:
    """Containers' names by their ids; only containerd's spans, from 2.0 on, tell them."""
    names = {call.container_id: call.container_name for call in calls if call.method == CREATE}
    return {container_id: name for container_id, name in names.items() if container_id and name}


def missing_by_error(syncs: Iterable[Span], started: Collection[str], last_start: int) -> list[str]:
    """Containers that the last failed sync could not start, though they were never started.

    ``started`` are the names of the containers that were; where no span has names, only errors
    after ``last_start`` count.
    """
    failed = [sync for sync in syncs if sync.failed]
    if not failed or (not started and failed[-1].start < last_start):
        return []
    names = [
        error.container
        for error in sync_errors.parse(failed[-1].error)
        if error.container and error.reason != sync_errors.CRASH_LOOP
    ]
    return [name for name in dict.fromkeys(names) if name not in started]


def _restarted(calls: Iterable[Call], names: Mapping[str, str], pod: Pod | None) -> set[str]:
    """Ids of the containers that replaced one which had been started.

    Not those of an init container before the app: the app waits for the last try.
    """
    kinds = {found.name: found.kind for found in pod.containers} if pod else {}
    started: set[str] = set()
    restarted: set[str] = set()
    for call in calls:
        name = names.get(call.container_id, "")
        is_try = kinds.get(name) == INIT and APP not in map(kinds.get, started)
        if call.method == CREATE and name in started and not is_try:
            restarted.add(call.container_id)
        if call.method == START and name and not call.failed:
            started.add(name)
    return restarted


def _perhaps_restarted(
    calls: Iterable[Call], names: Mapping[str, str], pod: Pod | None
) -> set[str]:
    """Ids of the containers of a name that has been restarted, if its first one is not seen."""
    first = {call.container_name for call in calls if call.method == CREATE and call.attempt == 0}
    names_left_out = _have_restarted(pod) - first
    return {container_id for container_id, name in names.items() if name in names_left_out}


def _have_restarted(pod: Pod | None) -> set[str]:
    """Names of the containers that have run, and of which there has been more than one."""
    containers = pod.containers if pod else ()
    return {found.name for found in containers if found.started and found.restarts}


def _without_restarts(calls: Sequence[Call], syncs: Sequence[Trace], pod: Pod | None) -> list[Call]:
    """Where no span names a container: as many starts as are known to be first ones."""
    end, crashed = _first_known_end(syncs)
    calls = [call for call in calls if call.span.start < end]
    starts = [index for index, call in enumerate(calls) if call.method == START and not call.failed]
    if pod and pod.containers:
        # The kubelet goes on to the next container only after the last try of an init container.
        first = sum(
            1 + (container.restarts if container.kind == INIT else 0)
            for container in pod.containers
        )
    else:
        # A container is in back-off only after it was started a second time.
        first = len(starts) - crashed
    if not 0 < first < len(starts):
        return calls
    return calls[: starts[first - 1] + 1]


def _first_known_end(syncs: Iterable[Trace]) -> tuple[float, int]:
    """When the kubelet first stopped a container, or knew that one had crashed; and how many."""
    ends = [
        (span.start, _crashed(span))
        for trace in syncs
        for span in trace.spans
        if _method(span) == _STOP or _crashed(span)
    ]
    return min(ends, default=(float("inf"), 0))


def _crashed(span: Span) -> int:
    """Number of the containers in back-off that the error of a syncPod names."""
    if span.operation != SYNC or not span.failed:
        return 0
    errors = sync_errors.parse(span.error)
    return len({error.container for error in errors if error.reason == sync_errors.CRASH_LOOP})


def _method(span: Span) -> str:
    """The CRI method that a span of the kubelet's stands for; empty for any other span."""
    return _method_name(span.operation) if span.service == KUBELET else ""


@lru_cache
def _method_name(operation: str) -> str:
    return operation.rpartition("/")[2] if operation.startswith(_CRI_PREFIX) else ""
