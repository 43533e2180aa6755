"""What ``ktrace verify`` found, as JSON and for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from ktrace.document import moment
from ktrace.pipeline.collector_metrics import Counters, Destination
from ktrace.pipeline.coverage import Coverage
from ktrace.pipeline.hops import BrokenHop
from ktrace.pipeline.verification import Verification
from ktrace.view.lines import Cell
from runtime_observability.core.crashes import Crashes
from runtime_observability.host.memory_loss import MemoryLoss

_NO_NODE = "from a node that its spans do not name"


def document(verification: Verification, now: float) -> dict[str, Any]:
    """The shape that ``verify --json`` promises; ``now`` is a Unix time in seconds."""
    synthetic = verification.synthetic
    return {
        "ok": verification.ok,
        "components": [part_document(part, now) for part in verification.parts],
        "synthetic": asdict(synthetic) if synthetic else None,
        "destinations": [
            {
                "name": destination.name,
                "ok": destination.ok,
                "sent": destination.sent,
                "failed": destination.failed,
                "dropped": destination.dropped,
                "queuedBytes": destination.queued_bytes,
                "queueBytes": destination.queue_bytes,
                "lastError": destination.last_error,
            }
            for destination in verification.destinations
        ],
        "toJaeger": _way_document(verification.to_jaeger) if verification.to_jaeger else None,
        "lostTraces": _loss_document(verification.loss) if verification.loss else None,
        "restarts": [_crashes_document(crashes) for crashes in verification.restarted],
        "notKnown": list(verification.not_known),
        "retentionFault": verification.retention_fault,
    }


def _loss_document(loss: MemoryLoss) -> dict[str, Any]:
    return {
        "before": moment(loss.at),
        "restarts": loss.crashes.times if loss.crashes else 0,
        "outOfMemory": bool(loss.crashes and loss.crashes.out_of_memory),
        "why": str(loss),
    }


def _way_document(counted: Counters) -> dict[str, int]:
    return {"sent": counted.sent, "failed": counted.failed, "dropped": counted.dropped}


def _crashes_document(crashes: Crashes) -> dict[str, Any]:
    return {
        "container": crashes.container,
        "times": crashes.times,
        "since": moment(crashes.since),
        "lastEnd": moment(crashes.ended),
        "running": crashes.serves is not None,
        "exitCode": crashes.exit_code,
        "outOfMemory": crashes.out_of_memory,
        "lastError": crashes.said,
        "why": str(crashes),
        "cure": crashes.cure,
    }


def part_document(part: Coverage, now: float) -> dict[str, Any]:
    age = _age(part, now)
    return {
        "component": part.component,
        "node": part.node,
        "expected": part.expected,
        "ok": part.ok,
        "lastSpanAgeSeconds": None if age is None else round(age, 1),
        "nodeKnown": part.node_known,
        "brokenHop": asdict(part.broken) if part.broken else None,
    }


def lines(verification: Verification, now: float) -> Iterator[RenderableType]:
    """The table of components, the span from this machine, and every broken hop."""
    yield _table(verification, now)
    if verification.chooses:
        yield Text("the collector accepts spans, and passes on the traces that `tracing` chooses")
    if synthetic := verification.synthetic:
        outcome = f"in Jaeger after {synthetic.seconds} s" if synthetic.ok else synthetic.evidence
        yield Text(f"a span from this machine: {outcome}")
    if counted := verification.to_jaeger:
        lost = [f"{counted.failed} lost: it refused them"] if counted.failed else []
        lost += [f"{counted.dropped} dropped: the queue was full"] if counted.dropped else []
        if lost:
            told = f"on the way to Jaeger, since the collector started: {', '.join(lost)}"
            yield Text(told, "yellow")
    for destination in verification.destinations:
        yield _destination(destination)
    if verification.loss:
        yield Text(f"traces are lost: {verification.loss}", "yellow")
    for crashes in verification.crashes:
        yield Text(f"spans may be lost: {crashes}", "yellow")
    if verification.retention_fault:
        yield Text(f"traceRetention is not kept: {verification.retention_fault}", "yellow")
    if verification.not_known:
        yield Text(
            "judged by the collector's counters, as no Jaeger can be asked. Not known: "
            + ", ".join(verification.not_known)
        )
    for hop, affected in _by_broken_hop(verification.parts).items():
        yield ""
        yield Text(f"broken: {hop.hop}", "bold red")
        yield Text(f"  seen: {hop.evidence}")
        yield Text(f"  cure: {hop.cure}")
        yield Text(f"  affects: {', '.join(affected)}")


def _destination(destination: Destination) -> Text:
    """What it got and what it lost; an `up` or a restart of the collector begins a new count."""
    told = [f"{destination.sent} sent"]
    if destination.queued_bytes:
        share = destination.queued_bytes / max(1, destination.queue_bytes)
        told.append(f"{share:.0%} of its queue waits")
    if destination.failed:
        told.append(f"{destination.failed} lost: it refused them, or did not answer for minutes")
    if destination.dropped:
        told.append(f"{destination.dropped} dropped: its queue was full")
    why = f". The last error: {destination.last_error}" if destination.last_error else ""
    is_fine = destination.ok and not why
    return Text(
        f"destination {destination.name}: {', '.join(told)}{why}", "" if is_fine else "yellow"
    )


def _table(verification: Verification, now: float) -> Table:
    """Where the collector has counted the spans, it tells of no node."""
    counted = bool(verification.not_known)
    no_node = "which of the nodes sent it is not known" if counted else _NO_NODE
    unexpected = "`tracing` chooses" if verification.chooses else "not traced, or sampled"
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column in ("", "component", "node", "last span"):
        table.add_column(column, overflow="fold")
    for part in verification.parts:
        age = _age(part, now)
        last_span = "never" if age is None else f"{age:.1f} s ago"
        if not part.node_known:
            last_span += f", {no_node}"
        if not part.expected and not part.ok:
            last_span += f", not expected: {unexpected}"
        table.add_row(_state(part), part.component, Cell(part.node), Cell(last_span))
    return table


def _state(part: Coverage) -> Text:
    if not part.expected:
        return Text("-", "dim")
    return Text("ok", "green") if part.ok else Text("BROKEN", "bold red")


def _age(part: Coverage, now: float) -> float | None:
    """Seconds since its last span ended; None without a span."""
    return None if part.last_span is None else max(0.0, now - part.last_span)


def _by_broken_hop(parts: Sequence[Coverage]) -> dict[BrokenHop, list[str]]:
    affected: dict[BrokenHop, list[str]] = {}
    for part in parts:
        if part.broken:
            affected.setdefault(part.broken, []).append(f"{part.component} on {part.node}")
    return affected
