"""What the Jaeger of a stack has lost."""

from __future__ import annotations

from ktrace.target import docker_daemon
from ktrace.target.target import Target
from runtime_observability.host import memory_loss
from runtime_observability.host.memory_loss import MemoryLoss


def of(target: Target, stack: str | None) -> MemoryLoss | None:
    """None where nothing was lost, and where that is not known: ``stack`` is --stack's value."""
    cluster = target.outputs.get("clusterName")
    if not cluster or target.jaeger_url != target.outputs.get("jaegerUrl"):
        return None
    docker_daemon.use_that_of(stack)
    return memory_loss.find(f"{cluster}-jaeger")
