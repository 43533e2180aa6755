"""When a pod became Ready, and what lay between its last container's start and that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ktrace.jaeger import Span
from ktrace.podstart.pod import APP, INIT, READY, SECOND, Condition, Pod

SPAN = "span"
CONDITION = "condition"
_LATENCY = SECOND // 4
"""From the kubelet's decision to its request."""
_SOON = 10 * SECOND
"""A pod without a probe is Ready by then: the kubelet reports a status every second, or at once."""
_UNCONFIRMED = (
    "Jaeger has no status patch of the kubelet, so whether it was Ready before is not known"
)


@dataclass(frozen=True)
class Moment:
    """``at`` is in microseconds, None where it is not known; the clock is the API server's for a
    span, the node's for a condition."""

    at: int | None = None
    source: str = ""
    note: str = ""


def moment(pod: Pod, patches: Sequence[Span], last_start: int, offset: int) -> Moment:
    """When ``pod`` became Ready for the first time.

    ``last_start`` is when its last container had started, and that one's postStart handler had
    ended, before which the kubelet does not report it. It is on the node's clock, to which
    ``offset`` is added to have that of the API server; all in microseconds.
    """
    condition = pod.condition(READY)
    if condition is None or not condition.status or condition.since is None:
        return Moment(note=_why_not(condition))
    since = condition.since
    if since + SECOND <= last_start:
        return Moment(note="Ready since a moment before the last start, which is not the first one")
    later = [patch for patch in patches if patch.start - offset >= last_start]
    if _was_ready_before(pod, later, since, last_start, offset):
        return Moment(note="Ready now; when it was for the first time is not known")
    sent = [patch for patch in later if since <= patch.start - offset < since + SECOND + _LATENCY]
    if len(sent) == 1:
        return Moment(sent[0].end, SPAN)
    unconfirmed = not later and since - last_start > _SOON
    return Moment(max(since, last_start), CONDITION, _UNCONFIRMED if unconfirmed else "")


def waits(pod: Pod) -> str:
    """What Ready waits for once all containers run, as the pod's specification says."""
    found = [
        f"{what} {'probe' if len(names) == 1 else 'probes'} of {', '.join(names)}"
        for what, names in (
            ("start-up", [c.name for c in pod.containers if c.startup_probe and c.kind == APP]),
            ("readiness", [c.name for c in pod.containers if c.readiness_probe and c.kind != INIT]),
        )
        if names
    ]
    if pod.readiness_gates:
        found.append(f"readiness gates {', '.join(pod.readiness_gates)}")
    return ", ".join(found) or "the kubelet reports that the pod is Ready"


def _has_to_wait(pod: Pod) -> bool:
    return bool(pod.readiness_gates) or any(
        container.startup_probe or container.readiness_probe or container.post_start
        for container in pod.containers
    )


def _was_ready_before(
    pod: Pod, patches: Sequence[Span], since: int, last_start: int, offset: int
) -> bool:
    """Whether the condition may have been true, and false again, before ``since``.

    After the last start the kubelet reports that the containers run, each probe that succeeds, and
    with the last of these Ready. To lose and regain Ready takes two reports more, none of them
    before each probe has begun.
    """
    if any(container.restarts for container in pod.containers if container.kind != INIT):
        return True
    probes = sum(found.startup_probe + found.readiness_probe for found in pod.containers)
    delayed = (c.started_at + c.probe_delay for c in pod.containers if c.started_at)
    begun = max(delayed, default=0)
    if sum(begun <= patch.start - offset < since for patch in patches) > max(1, probes):
        return True
    return not _has_to_wait(pod) and since - last_start > _SOON


def _why_not(condition: Condition | None) -> str:
    if condition is None or condition.reason == "PodCompleted":
        return ""
    if condition.status:
        return "Ready; since when is not known"
    why = condition.message or condition.reason
    return f"not Ready{f': {why}' if why else ''}"
