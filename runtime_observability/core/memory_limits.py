"""Memory limits of the stack's containers beyond what Docker's machine has. Pure."""

from __future__ import annotations

from runtime_observability.core.observation import Observation
from runtime_observability.core.problem import Problem
from runtime_observability.core.settings.model import Settings


def refuse(settings: Settings, observed: Observation) -> list[Problem]:
    """Docker takes such a limit, and the kernel ends what it likes when the machine is full."""
    limits = {
        **({"jaegerMemoryMiB": settings.jaeger_memory_mib} if settings.has_jaeger else {}),
        "collectorMemoryMiB": settings.collector_memory_mib,
        **(
            {
                "openSearchMemoryMiB": settings.open_search_memory_mib,
                "openSearchHeapMiB": settings.open_search_heap_mib,
            }
            if settings.has_own_open_search
            else {}
        ),
    }
    return [
        Problem(
            key,
            f"{mib} MiB cannot be used",
            f"Docker's machine has {observed.memory_mib} MiB of memory",
            "set it to less than that",
        )
        for key, mib in limits.items()
        if mib > observed.memory_mib > 0
    ]
