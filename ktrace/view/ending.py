"""A pod's ending in the terminal, and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ktrace.activity.requests import NOT_KNOWN
from ktrace.brief import brief, clause, grouped
from ktrace.document import moment, versioned
from ktrace.podend.model import KILLED, ContainerEnd, PodEnding
from ktrace.view import waterfall
from ktrace.view.start import step_of, waiting_of
from ktrace.view.terminal import duration, milliseconds


def title(ending: PodEnding) -> str:
    """Whether it has ended, and how long that took."""
    return f"pod {ending.namespace}/{ending.pod}{state(ending)}"


def state(ending: PodEnding) -> str:
    took = length(ending)
    if ending.deleted is False:
        return f" has not been deleted: {_own_state(ending)}"
    if ending.goes_on:
        return f" is terminating, {took} so far" if took else " is terminating"
    if ending.ended:
        return f" ended in {took}" if took else " has ended; how long that took is not known"
    return ": whether it has ended is not known"


def _own_state(ending: PodEnding) -> str:
    if ending.ended:
        took = length(ending)
        stopped = ending.outcome or any(end.stop_ms is not None for end in ending.containers)
        how = "its kubelet ended it" if stopped else "it ended on its own"
        return f"{how}, {ending.phase}" + (f"; its end took {took}" if took else "")
    if ending.begun:
        return "its kubelet ends it"
    return f"it is {ending.phase}" if ending.phase else "its phase is not known"


def length(ending: PodEnding) -> str:
    """How long it took, or has taken so far; empty where that is not known."""
    if ending.duration_ms is None:
        return ""
    if ending.to_the_second:
        return duration(ending.duration_ms / 1000)
    return milliseconds(ending.duration_ms)


def summary(ending: PodEnding) -> list[str]:
    """What is waited for, who asked for it, what took long, notes; one line for each."""
    lines = (*_causes(ending), *_lengths(ending), *_facts(ending))
    return list(dict.fromkeys(lines))


def held(ending: PodEnding) -> list[str]:
    """Who asked for it, what it waits for and what took long, what is not known: for a list of
    many pods."""
    known = (f"without {lacking}" for lacking in ending.missing)
    return list(dict.fromkeys((*_causes(ending), *_lengths(ending), *known, *ending.notes)))


def _causes(ending: PodEnding) -> Iterator[str]:
    for waiting in ending.waiting:
        yield f"now: waits for {waterfall.waits_for(waiting, ending.looked_at)}"
    if ending.asked:
        first = ending.asked[0]
        yield f"{first.how} by {first.by}"
    elif ending.deleted:
        yield "who deleted it is not known"
    if ending.disruption:
        yield f"because of {ending.disruption}"
    if ending.outcome:
        yield f"{ending.phase}: {ending.outcome}"


def _lengths(ending: PodEnding) -> Iterator[str]:
    for container in ending.containers:
        yield from _of_container(container)
    if (slowest := ending.slowest) and ending.ended and ending.duration_ms:
        yield (
            f"slowest: {clause(slowest.name)}, {milliseconds(slowest.duration_ms)} "
            f"({slowest.share:.0%} of the total)"
        )
    if ending.grace_seconds:
        yield f"grace period: {ending.grace_seconds} s"
    if ending.finalizers and ending.deleted:
        yield f"finalizers: {', '.join(ending.finalizers)}"


def _facts(ending: PodEnding) -> Iterator[str]:
    if ending.begun:
        known = "began" if ending.beginning_known else "known from"
        yield f"{known}: {waterfall.moment(ending.begun)}"
    if ending.uid:
        yield f"uid: {ending.uid}"
    if ending.node:
        yield f"node: {ending.node}"
    if ending.spans_without_parent:
        yield f"spans whose parent is lost or has not arrived yet: {ending.spans_without_parent}"
    if ending.missing:
        yield f"without {'; without '.join(ending.missing)}"
    yield from map(brief, ending.notes)
    yield from grouped((step.name, step.error) for step in ending.steps if step.error)


def _of_container(end: ContainerEnd) -> Iterator[str]:
    name = end.name or "a container"
    if end.how == KILLED and end.resisted_ms is not None:
        yield (
            f"{name} had to be killed: it still ran {milliseconds(end.resisted_ms)} after its stop "
            "signal, when its grace period ended"
        )
    if end.exit_code:
        yield f"{name}: exit code {end.exit_code}" + (f" ({end.reason})" if end.reason else "")


def document(ending: PodEnding, jaeger_url: str) -> dict[str, Any]:
    """The shape that ``show --ending --json`` promises: docs/schemas/ending.json."""
    return versioned(entry(ending, jaeger_url))


def entry(ending: PodEnding, jaeger_url: str) -> dict[str, Any]:
    """The same as a part of another document."""
    length_ms = None if ending.duration_ms is None else round(ending.duration_ms, 1)
    return {
        "namespace": ending.namespace,
        "pod": ending.pod,
        "uid": ending.uid or None,
        "node": ending.node or None,
        "deleted": ending.deleted,
        "ended": ending.ended,
        "asked": [
            {
                "how": asked.how,
                "by": None if asked.by == NOT_KNOWN else asked.by,
                "at": moment(asked.at),
                "removedAtOnce": asked.at_once,
            }
            for asked in ending.asked
        ],
        "disruption": ending.disruption or None,
        "phase": ending.phase or None,
        "outcome": ending.outcome or None,
        "begunAt": moment(ending.begun) if ending.begun else None,
        "begunBy": ending.begun_by or None,
        "endedAt": moment(ending.ended_at) if ending.ended_at else None,
        "durationMs": length_ms if ending.ended else None,
        "soFarMs": length_ms if ending.goes_on else None,
        "toTheSecond": ending.to_the_second,
        "observedAt": moment(ending.looked_at) if ending.looked_at else None,
        "graceSeconds": ending.grace_seconds,
        "finalizers": list(ending.finalizers),
        "containers": [_container(end) for end in ending.containers],
        "waitingFor": [waiting_of(found, ending.looked_at) for found in ending.waiting],
        "missing": list(ending.missing),
        "spansWithoutParent": ending.spans_without_parent,
        "notes": list(ending.notes),
        "steps": list(map(step_of, ending.steps)),
        "traceUrls": ending.trace_urls(jaeger_url),
    }


def _container(end: ContainerEnd) -> dict[str, Any]:
    return {
        "name": end.name or None,
        "kind": end.kind or None,
        "how": end.how or None,
        "stopMs": _rounded(end.stop_ms),
        "resistedMs": _rounded(end.resisted_ms),
        "preStopMs": _rounded(end.pre_stop_ms),
        "exitCode": end.exit_code,
        "reason": end.reason or None,
    }


def _rounded(value_ms: float | None) -> float | None:
    return None if value_ms is None else round(value_ms, 1)
