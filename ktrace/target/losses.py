"""What the Jaeger of a stack has in its memory, and what it has lost."""

from __future__ import annotations

from datetime import UTC, datetime

from ktrace.bundle import session
from ktrace.jaeger import store
from ktrace.target import docker_daemon
from ktrace.target.target import Target
from runtime_observability.host import memory_loss
from runtime_observability.host.memory_loss import Memory, MemoryLoss


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


def _read(target: Target, stack: str | None) -> Memory | None:
    cluster = target.outputs.get("clusterName")
    if not cluster or target.store is not store.MEMORY:
        return None
    docker_daemon.use_that_of(stack)
    return memory_loss.read(f"{cluster}-jaeger", f"k3d-{cluster}-server-0")
