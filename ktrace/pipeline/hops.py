"""The hops that a span takes from a node to Jaeger, in order, and the first one that is broken."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from ktrace.components import CONTAINERD
from ktrace.jaeger.api import RefusalError
from ktrace.pipeline import node_shell
from ktrace.pipeline.collector_metrics import WATCH_SECONDS, Destination
from ktrace.pipeline.pipelines import Pipeline, StackPipeline
from runtime_observability.core import naming

RESOLVES = "name resolves in the node"
CONNECTS = "TCP 4317 opens from the node"
ACCEPTS = "collector accepts spans"
DELIVERS = "collector's exporter delivers"
STORES = "Jaeger has them"
EXPORTS = "component exports spans"
NOT_KNOWN = "not known: the component, or a hop to Jaeger"
"""Of a cluster that this project did not make nothing between a node and Jaeger can be observed."""

_START_JAEGER = "start Jaeger, or name another with --jaeger URL"
_OTLP_GRPC_PORT = 4317
_UP = "run `pulumi up`, which repairs it"
_REPAIRS = {
    "exited": f"`docker start {{}}`, or {_UP}",
    "created": f"`docker start {{}}`, or {_UP}",
    "paused": "`docker unpause {}`",
}
"""By a container's state; in any other state only `pulumi up` helps."""

P = TypeVar("P", bound=Pipeline)


@dataclass(frozen=True)
class BrokenHop:
    hop: str
    evidence: str
    cure: str


@dataclass(frozen=True)
class Fault:
    """Why a hop is broken."""

    evidence: str
    cure: str


@dataclass(frozen=True)
class Hop(Generic[P]):
    name: str
    find_fault: Callable[[P, str], Fault | None]
    """Of a pipeline, for a node."""


def first_broken(pipeline: Pipeline, node: str, component: str, unread: str = "") -> BrokenHop:
    """Why no span of ``component`` on ``node`` arrives: if all hops work, it exports none.

    ``unread`` is why Jaeger could not be read to the end: then that is what is known if all hops
    work by now.
    """
    broken = (
        _first_broken(_STACK_HOPS, pipeline, node)
        if isinstance(pipeline, StackPipeline)
        else _first_broken(_ANY_CLUSTER_HOPS, pipeline, node)
    )
    if broken:
        return broken
    if unread:
        return BrokenHop(STORES, unread, _START_JAEGER)
    if not isinstance(pipeline, StackPipeline):
        return BrokenHop(
            NOT_KNOWN,
            f"Jaeger answers, but no span of {component} on {node} arrives; what is between them "
            "cannot be seen from here",
            f"see the tracing configuration of {component}, the log of the collector that it "
            "sends to, and whether sampling keeps its spans",
        )
    end = "Jaeger" if pipeline.jaeger else "the collector's destinations"
    return BrokenHop(
        EXPORTS,
        f"every hop from {node} to {end} works, but no span of {component} arrives",
        _cure_of_silence(node, component),
    )


def broken_on_the_way(pipeline: StackPipeline, node: str) -> BrokenHop | None:
    """The first broken hop from ``node``, whatever its components do."""
    return _first_broken(_STACK_HOPS, pipeline, node)


def _first_broken(hops: Sequence[Hop[P]], pipeline: P, node: str) -> BrokenHop | None:
    for hop in hops:
        if fault := hop.find_fault(pipeline, node):
            return BrokenHop(hop.name, fault.evidence, fault.cure)
    return None


def _unresolved_name(pipeline: StackPipeline, node: str) -> Fault | None:
    failure = node_shell.resolve(node, naming.COLLECTOR_ALIAS)
    if failure is None:
        return None
    if failure.of_node:
        return Fault(failure.reason, _UP)
    collector, network = pipeline.names.collector, pipeline.names.network
    cure = _repair(pipeline, collector)
    if pipeline.state(collector) == "running":
        cure = (
            f"the collector is not on network {network} under that alias: "
            f"`docker network disconnect {network} {collector}; docker network connect "
            f"--alias {naming.COLLECTOR_ALIAS} {network} {collector}`"
        )
    return Fault(
        f"{naming.COLLECTOR_ALIAS} is unknown in {node}; {pipeline.described(collector)}", cure
    )


def _closed_port(pipeline: StackPipeline, node: str) -> Fault | None:
    failure = node_shell.connect(node, naming.COLLECTOR_ALIAS, _OTLP_GRPC_PORT)
    if failure is None:
        return None
    collector = pipeline.names.collector
    reason = failure.reason or f"no answer within {node_shell.CONNECT_SECONDS} s"
    return Fault(
        f"{node} cannot connect to {naming.COLLECTOR_ALIAS}:{_OTLP_GRPC_PORT} ({reason}); "
        f"{pipeline.described(collector)}",
        _repair(pipeline, collector)
        if pipeline.state(collector) != "running"
        else f"`docker logs {collector}` says whether it listens; if it does, something in between "
        f"drops the packets: look at `docker exec {node} iptables -S` and the host's firewall",
    )


def _nothing_accepted(pipeline: StackPipeline, node: str) -> Fault | None:
    collector, readings = pipeline.names.collector, pipeline.readings
    if isinstance(readings, str):
        return Fault(readings, _repair(pipeline, collector))
    if readings.accepted > 0:
        return None
    return Fault(
        f"{readings.accepted} spans accepted and {readings.refused} refused in "
        f"{WATCH_SECONDS:g} s, {readings.after.accepted} accepted since it started",
        f"`docker logs {collector}` says what it refuses; if nothing arrives, `docker restart` the "
        "nodes",
    )


def _nothing_sent(pipeline: StackPipeline, node: str) -> Fault | None:
    readings = pipeline.readings
    if isinstance(readings, str) or readings.sent > 0:
        return None
    if not pipeline.has_jaeger:
        return _stuck_destinations(pipeline, readings.stuck)
    if readings.after.chooses and readings.nothing_to_send:
        return None
    jaeger = pipeline.names.jaeger
    if pipeline.state(jaeger) == "running" and isinstance(pipeline.jaeger_error, RefusalError):
        return None  # it waits for a Jaeger that cannot use its store, which is told as such
    seen = (
        f"{readings.accepted} spans accepted and {readings.sent} sent in {WATCH_SECONDS:g} s, "
        f"{readings.after.waiting} batches wait, {readings.after.failed} spans failed; "
        f"{pipeline.described(jaeger)}"
    )
    if pipeline.state(jaeger) != "running":
        return Fault(seen, _repair(pipeline, jaeger))
    network = pipeline.names.network
    if not pipeline.is_on_network(jaeger):  # up leaves it: traces may be in its memory
        return Fault(
            f"{seen}, but not on network {network}",
            f"`docker network connect --alias {naming.JAEGER_ALIAS} {network} {jaeger}` connects "
            "it again, with all it has",
        )
    return Fault(seen, f"`docker logs {pipeline.names.collector}` says why it cannot send")


def _stuck_destinations(pipeline: StackPipeline, stuck: Sequence[Destination]) -> Fault | None:
    if not stuck:
        return None
    told = "; ".join(
        f"destination {found.name} took nothing in {WATCH_SECONDS:g} s, {found.queued_bytes} bytes "
        f"wait, {found.failed} lost and {found.dropped} dropped since the collector started"
        for found in stuck
    )
    return Fault(
        told,
        f"`docker logs {pipeline.names.collector}` says why; what is wrong is in exporters, or at "
        "the destination",
    )


def _silent_jaeger(pipeline: Pipeline, node: str) -> Fault | None:
    error = pipeline.jaeger_error
    if error is None:
        return None
    if isinstance(error, RefusalError):
        return Fault(error.seen, error.cure)
    return Fault(str(error), _START_JAEGER)


def _lost_span(pipeline: StackPipeline, node: str) -> Fault | None:
    if pipeline.jaeger is None or pipeline.leaves_spans_out or pipeline.synthetic.ok:
        return None
    names = pipeline.names
    return Fault(
        f"a span from this machine did not arrive: {pipeline.synthetic.evidence}",
        f"`docker logs {names.collector}` and `docker logs {names.jaeger}`"
        if pipeline.has_jaeger
        else "see whether one of exporters leads to the Jaeger of queryUrl, and what is between",
    )


_ANY_CLUSTER_HOPS: tuple[Hop[Pipeline], ...] = (Hop(STORES, _silent_jaeger),)
"""All that can be observed of a cluster that this project did not make."""
_STACK_HOPS: tuple[Hop[StackPipeline], ...] = (
    Hop(RESOLVES, _unresolved_name),
    Hop(CONNECTS, _closed_port),
    Hop(ACCEPTS, _nothing_accepted),
    Hop(DELIVERS, _nothing_sent),
    Hop(STORES, _silent_jaeger),
    Hop(STORES, _lost_span),
)


def _repair(pipeline: StackPipeline, container: str) -> str:
    for crashes in pipeline.crashes:
        if crashes.container == container and pipeline.state(container) == "restarting":
            return f"{crashes.why}. {crashes.cure}"
    return _REPAIRS.get(pipeline.state(container), _UP).format(container)


def _cure_of_silence(node: str, component: str) -> str:
    if component == CONTAINERD:
        return (
            f"see whether its tracing plugin is loaded: `docker exec {node} ctr plugins ls | grep "
            "otlp`. Stock k3s has had none since v1.27.2; with containerdTracing: image the image "
            "must have it"
        )
    return (
        f"`docker logs {node} 2>&1 | grep -i trac` shows how it reads its tracing file in "
        f"{naming.NODE_FOLDER}"
    )
