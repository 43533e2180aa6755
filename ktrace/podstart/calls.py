"""The kubelet's calls to the container runtime, as the traces of a pod's syncPods show them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from ktrace.components import KUBELET
from ktrace.jaeger import Span, Trace

SYNC = "syncPod"
SANDBOX = "RunPodSandbox"
PULL = "PullImage"
CREATE = "CreateContainer"
START = "StartContainer"
_METHODS = (SANDBOX, PULL, CREATE, START)
_STOP = "StopContainer"
_CRI_PREFIX = "runtime.v1."
_CONTAINER_ID = "container.id"
_CONTAINER_NAME = "container.name"
_IMAGE_TAGS = ("container.image.ref", "image.ref", "image.name", "image")
_BACK_OFF = "CrashLoopBackOff"


@dataclass(frozen=True)
class Call:
    """One call; ``span`` is the kubelet's own span of it."""

    trace: Trace
    span: Span

    @property
    def method(self) -> str:
        """``StartContainer``, without the CRI service's name."""
        return _method(self.span)

    @cached_property
    def below(self) -> Sequence[Span]:
        """What the runtime did for the call; empty where the runtime is not traced."""
        return self.trace.below(self.span)

    @property
    def container_id(self) -> str:
        return self._tag(_CONTAINER_ID)

    @property
    def container_name(self) -> str:
        """containerd's own name of a container is NAME_POD_NAMESPACE_UID_ATTEMPT."""
        return self._tag(_CONTAINER_NAME).partition("_")[0]

    @property
    def image(self) -> str:
        return self._tag(*_IMAGE_TAGS)

    @property
    def error(self) -> str:
        """Why the call failed, from the outermost failed span; empty where it did not fail."""
        return next((span.error for span in (self.span, *self.below) if span.failed), "")

    def _tag(self, *keys: str) -> str:
        """The first of ``keys`` on the call's span or, as containerd sets them, below it."""
        for span in (self.span, *self.below):
            for key in keys:
                if key in span.tags:
                    return str(span.tags[key])
        return ""


def has_calls(trace: Trace) -> bool:
    """Whether the kubelet changed something in it: most syncPods only look at the pod."""
    return any(_method(span) in _METHODS for span in trace.spans)


def first_calls(syncs: Sequence[Trace]) -> list[Call]:
    """The calls up to each container's first start, ordered by start; restarts are left out."""
    calls = sorted(
        (Call(trace, span) for trace in syncs for span in trace.spans if _method(span) in _METHODS),
        key=lambda call: call.span.start,
    )
    if names := container_names(calls):
        restarted = _restarted(calls, names)
        calls = [call for call in calls if call.container_id not in restarted]
    else:
        end = _first_known_end(syncs)
        calls = [call for call in calls if call.span.start < end]
    starts = [index for index, call in enumerate(calls) if call.method == START]
    return calls[: starts[-1] + 1] if starts else calls


def container_names(calls: Iterable[Call]) -> dict[str, str]:
    """Containers' names by their ids; only containerd's spans, from 2.0 on, tell them."""
    names = {call.container_id: call.container_name for call in calls if call.method == CREATE}
    return {container_id: name for container_id, name in names.items() if container_id}


def _restarted(calls: Iterable[Call], names: Mapping[str, str]) -> set[str]:
    """Ids of the containers that replaced one which had been started."""
    started: set[str] = set()
    restarted: set[str] = set()
    for call in calls:
        name = names.get(call.container_id, "")
        if call.method == CREATE and name in started:
            restarted.add(call.container_id)
        if call.method == START and name and not call.span.failed:
            started.add(name)
    return restarted


def _first_known_end(syncs: Iterable[Trace]) -> float:
    """When the kubelet first stopped a container, or first knew that one had crashed."""
    ends = (
        span.start
        for trace in syncs
        for span in trace.spans
        if _method(span) == _STOP or (span.operation == SYNC and _BACK_OFF in span.error)
    )
    return min(ends, default=float("inf"))


def _method(span: Span) -> str:
    """The CRI method that a span of the kubelet's stands for; empty for any other span."""
    if span.service != KUBELET or not span.operation.startswith(_CRI_PREFIX):
        return ""
    return span.operation.rpartition("/")[2]
