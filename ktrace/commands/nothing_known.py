"""Why nothing can be said of a pod, in one line."""

from __future__ import annotations

import difflib

from ktrace.errors import KtraceError
from ktrace.jaeger import Jaeger, MixedStacksError
from ktrace.target import absence
from runtime_observability.host.memory_loss import Memory


def error(
    jaeger: Jaeger, of_pod: str, pod: str, timeout: float, memory: Memory | None
) -> KtraceError:
    """``of_pod`` is what Jaeger lacks, such as ``start of pod``; ``pod`` is NAMESPACE/NAME."""
    from ktrace.podstart import search

    reason = f"Jaeger has no {of_pod} {pod} (waited {timeout:g} s)"
    reason += f"; {memory}" if memory else ""
    if absent := absence.of_stack(jaeger):
        return KtraceError(f"{reason}; {absent}")
    try:
        hint = _hint(pod, search.recent_pods(jaeger))
    except MixedStacksError:  # other stacks' names are no hint
        hint = ""
    return KtraceError(f"{reason}{hint}")


def _hint(pod: str, known: set[str]) -> str:
    if not known:
        return "; it has no pod's start at all: `ktrace verify` says why"
    similar = difflib.get_close_matches(pod, sorted(known), n=3)
    return f"; similar names are {', '.join(similar)}" if similar else ""
