"""What the Jaeger of a stack has in its memory, and what it has lost."""

from __future__ import annotations

from datetime import UTC, datetime

from ktrace.bundle import session
from ktrace.clock import time
from ktrace.errors import UsageError
from ktrace.jaeger import Jaeger, JaegerError, ring, store
from ktrace.target import docker_daemon
from ktrace.target.target import Target
from runtime_observability.host import memory_loss
from runtime_observability.host.memory_loss import Memory, MemoryLoss

_SECOND = 1_000_000


def of(target: Target, stack: str | None) -> MemoryLoss | None:
    """None where nothing was lost, and where that is not known: ``stack`` is --stack's value."""
    memory = memory_of(target, stack)
    return memory.loss if memory else None


def memory_of(target: Target, stack: str | None) -> Memory | None:
    """None where it keeps its traces elsewhere, and where that is not known."""
    return session.current().memory(lambda: _read(target, stack))


def of_what_began(target: Target, stack: str | None, since: float) -> str:
    """Why an answer about what began after ``since``, a Unix time in seconds, may lack spans; empty
    if nothing is known to be lost. ``stack`` is --stack's value."""
    memory = memory_of(target, stack)
    if memory is None or not memory.may_lack_any(datetime.fromtimestamp(since, UTC)):
        return ""
    return f"spans from before may be lost: {memory}"


def dropped(jaeger: Jaeger, memory: Memory | None, since: datetime | None) -> str:
    """That Jaeger may have dropped what began at ``since`` for newer traces; empty if not.

    Without ``since`` it is what came when Jaeger itself began. Of a Jaeger that does not answer,
    and of a bundle that does not tell, nothing is said.
    """
    began = round(memory.since.timestamp() * _SECOND) if memory else None
    first = None if began is None else began + ring.FIRST
    begin = first if since is None else round(since.timestamp() * _SECOND)
    if begin is None:
        return ""
    try:
        may_lack = ring.may_lack(jaeger, begin, round(time.time() * _SECOND), began)
    except (JaegerError, UsageError):
        return ""
    return f"{ring.WHY}: raise jaegerMaxTraces" if may_lack else ""


def _read(target: Target, stack: str | None) -> Memory | None:
    cluster = target.outputs.get("clusterName")
    if not cluster or target.store is not store.MEMORY:
        return None
    docker_daemon.use_that_of(stack)
    return memory_loss.read(f"{cluster}-jaeger", f"k3d-{cluster}-server-0")
