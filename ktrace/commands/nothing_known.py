"""Why nothing can be said of a pod, in one line."""

from __future__ import annotations

import difflib

from ktrace.errors import KtraceError
from ktrace.jaeger import Jaeger, MixedStacksError
from ktrace.target import absence, losses
from runtime_observability.host.memory_loss import Memory

_MOST_SIMILAR = 3


def error(
    jaeger: Jaeger,
    of_pod: str,
    pod: str,
    timeout: float,
    memory: Memory | None,
    *,
    left_out: str,
) -> KtraceError:
    """``of_pod`` is what Jaeger lacks, such as ``start of pod``; ``pod`` is NAMESPACE/NAME.

    ``left_out`` is why it lacks traces by choice, empty where it does not.
    """
    from ktrace.podstart import search

    lacks = f"Jaeger has no {of_pod} {pod} (waited {timeout:g} s)"
    dropped = losses.dropped(jaeger, memory, None)
    reason = "; ".join(filter(None, (lacks, left_out, str(memory or ""), dropped)))
    if absent := absence.of_stack(jaeger):
        return KtraceError(f"{reason}; {absent}")
    try:
        hint = _hint(pod, search.recent_pods(jaeger), left_out)
    except MixedStacksError:  # other stacks' names are no hint
        hint = ""
    return KtraceError(f"{reason}{hint}")


def _similar(pod: str, known: set[str]) -> list[str]:
    """Of ``known``, by their names: that all are of one namespace makes none similar."""
    of_name: dict[str, list[str]] = {}
    for other in sorted(known):
        of_name.setdefault(other.partition("/")[2], []).append(other)
    close = difflib.get_close_matches(pod.partition("/")[2], of_name, n=_MOST_SIMILAR)
    return [other for name in close for other in of_name[name]][:_MOST_SIMILAR]


def _hint(pod: str, known: set[str], left_out: str) -> str:
    if not known and not left_out:
        return "; it has no pod's start at all: `ktrace verify` says why"
    similar = _similar(pod, known)
    return f"; similar names are {', '.join(similar)}" if similar else ""
