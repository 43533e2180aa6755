"""What a stack's Jaeger is known to lack: what its memory, or a container that ended, has lost."""

from __future__ import annotations

from datetime import UTC, datetime

from ktrace.bundle import session
from ktrace.clock import time
from ktrace.errors import UsageError
from ktrace.jaeger import Jaeger, JaegerError, retention, ring
from ktrace.target import docker_daemon
from ktrace.target.target import Target
from runtime_observability.core.crashes import COLLECTOR
from runtime_observability.core.naming import ClusterNames
from runtime_observability.host import memory_loss
from runtime_observability.host.memory_loss import Memory

_SECOND = 1_000_000


def memory_of(target: Target, stack: str | None) -> Memory | None:
    """None where nothing is known of what may be missing. ``stack`` is --stack's value."""
    return session.current().memory(lambda: _read(target, stack))


def of_what_began(target: Target, stack: str | None, since: float) -> str:
    """Why an answer about what began after ``since``, a Unix time in seconds, may lack spans; empty
    if nothing is known to be lost. ``stack`` is --stack's value."""
    memory = memory_of(target, stack)
    why = memory.why_lacking_any(datetime.fromtimestamp(since, UTC)) if memory else ""
    return f"spans may be lost: {why}" if why else ""


def missing(
    memory: Memory | None, began: datetime | None, *, unseen: bool, gaps: bool
) -> tuple[str, ...]:
    """A line of what an answer lacks about what began at ``began``; none where it has all that
    there was. ``unseen`` and ``gaps`` are as in Memory.why_lacking."""
    why = memory.why_lacking(began, unseen=unseen, gaps=gaps) if memory and began else ""
    return (f"what may be lost: {why}",) if why else ()


def dropped(jaeger: Jaeger, memory: Memory | None, since: datetime | None) -> str:
    """That Jaeger may have dropped what began at ``since``, and the cure; empty if not.

    Without ``since`` it is what came when Jaeger itself began, or its cluster. Of a Jaeger that
    does not answer, and of a bundle that does not tell, nothing is said.
    """
    now = round(time.time() * _SECOND)
    cluster = memory.cluster if memory else None
    first = since or cluster
    if first and retention.may_lack(jaeger, round(first.timestamp() * _SECOND), now, cluster):
        return f"{retention.why(jaeger)}: raise traceRetention"
    made = memory.since if memory else None
    began = round(made.timestamp() * _SECOND) if made else None
    sent = None if began is None else began + ring.FIRST
    begin = sent if since is None else round(since.timestamp() * _SECOND)
    if begin is None:
        return ""
    try:
        may_lack = ring.may_lack(jaeger, begin, now, began)
    except (JaegerError, UsageError):
        return ""
    return f"{ring.WHY}: raise jaegerMaxTraces" if may_lack else ""


def _read(target: Target, stack: str | None) -> Memory | None:
    cluster = target.outputs.get("clusterName")
    if not cluster:
        return None
    docker_daemon.use_that_of(stack)
    memory = memory_loss.read(ClusterNames(cluster))
    if memory is None or not target.is_shared:
        return memory
    # Of the stack, another Jaeger has what its collector has passed on.
    crashes = tuple(found for found in memory.crashes if found.of == COLLECTOR)
    return Memory(crashes=crashes) if crashes else None
