"""The time between the kubelet's calls, which no span covers: when it is shown, and its name."""

from __future__ import annotations

from ktrace.podstart.calls import SANDBOX, START, Call

_SHORTEST_MS = 5.0
_SMALLEST_SHARE = 0.01
_ALWAYS_SHOWN_MS = 100.0


def is_shown(gap_ms: float, start_ms: float) -> bool:
    """Whether a gap is long enough, within a start of ``start_ms``, to be a step of its own."""
    return gap_ms >= min(_ALWAYS_SHOWN_MS, max(_SHORTEST_MS, start_ms * _SMALLEST_SHARE))


def name_of(previous: Call | None, following: Call, *, synced_again: bool, named: bool) -> str:
    """What most likely happened between two calls.

    ``synced_again``: whether another syncPod began in between. ``named``: whether spans name the
    containers, so that no restart is among the calls.
    """
    if previous is None:
        return "before the sandbox: volumes, cgroups, secrets"
    if synced_again and previous.method == START and not previous.span.failed:
        activity = "an init container runs" if named else "a container runs or is restarted"
        return f"{activity}, then the kubelet's next sync"
    if synced_again:
        return "the kubelet waits before it goes on (back-off, next sync)"
    if previous.method == SANDBOX:
        return "between the sandbox and the first container"
    if following.method == START:
        return "between a container's creation and its start"
    return f"between {previous.method} and {following.method}"
