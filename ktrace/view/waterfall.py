"""A pod's start as a waterfall in the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from rich.table import Table
from rich.text import Text

from ktrace.brief import brief, clause, grouped
from ktrace.components import APISERVER, CONTAINERD, KUBELET, SCHEDULER
from ktrace.podstart.model import PodStart, Step, Waiting
from ktrace.podstart.readiness import CONDITION, SPAN
from ktrace.view.lines import Cell
from ktrace.view.retries import fold
from ktrace.view.terminal import counted, duration, milliseconds

_LONGEST_BAR = 36
_NARROW = 100
"""Columns below which bars would leave too little room for the steps' names."""
_MOST_LINES = 200
"""The terminal's library takes a second for 1,000, and nobody reads as many."""
_MOST_ERRORS = 20
LEAST_TOLD_MS = 0.05
"""Less would be told as 0.0 ms."""
_SECOND_MS = 1000
_STYLES = {
    APISERVER: "blue",
    SCHEDULER: "magenta",
    KUBELET: "green",
    CONTAINERD: "cyan",
}


_READY_SOURCES = {
    SPAN: "by the span of the kubelet's status patch",
    CONDITION: "by the pod's condition, to the second",
}


def title(start: PodStart) -> str:
    """How far the start is, and since when."""
    return f"pod {start.namespace}/{start.pod}{_state(start)}"


def length(start: PodStart) -> str:
    """How long it took, as exactly as that is known; empty where it is not."""
    if not start.length_known:
        return ""
    told = _told(start.duration_ms, start)
    rough = start.to_the_second and not start.so_far and start.duration_ms >= _SECOND_MS
    return f"{told}, to the second" if rough else told


def took_without_object(start: PodStart) -> str:
    """``length`` of a start whose pod object is not known, and since when if not since the pod's
    creation."""
    told = length(start)
    return f"in {told}" if start.beginning_known else f"{told} after its first span"


def ready_after(start: PodStart) -> str:
    """How long it took to be Ready, as exactly as ``length``; empty where that is not known."""
    return "" if start.ready.after_ms is None else _told(start.ready.after_ms, start)


def _told(value_ms: float, start: PodStart) -> str:
    if not start.to_the_second:
        return milliseconds(value_ms)
    return duration(value_ms / 1000) if value_ms >= _SECOND_MS else "less than a second"


def _state(start: PodStart) -> str:
    took = length(start)
    if start.complete:
        if not took:
            return " started; how long that took is not known"
        ready = ready_after(start)
        return f" started in {took}" + (f", Ready after {ready}" if ready else "")
    if start.wanted is not None:
        started = f"{start.started} of {counted(start.wanted, 'container')} started"
        return f": {started}, {took} so far" if start.so_far else f": {started}"
    if not start.length_known:
        seen = counted(start.started, "container start")
        return (
            f": {seen} seen; how long the start took is not known: Jaeger no longer has its "
            "beginning"
        )
    took = took_without_object(start)
    if not start.started:
        return f": no container start seen {took}"
    started = f"{counted(start.started, 'container')} started"
    if start.incomplete:
        missing = ", ".join(found.name for found in start.containers if not found.started)
        return f": {started}, {missing} not, {took}"
    return f": {started} {took}; whether more were wanted is not known"


def summary(start: PodStart) -> list[str]:
    """The slowest step, Ready, what is waited for, notes and errors; one line for each."""
    lines = [f"now: {waits_for(waiting, start.looked_at)}" for waiting in start.waiting]
    missing = [found for found in start.containers if not found.started]
    if missing and start.wanted_known:
        names = (f"{found.name} ({found.kind})" for found in missing)
        lines.append(f"not started: {', '.join(names)}")
    slowest = start.slowest
    if slowest and start.measured and start.duration_ms:
        share = slowest.duration_ms / start.duration_ms
        took = slowest.duration_ms
        so_long = _told(took, start) if slowest.unexplained else milliseconds(took)
        lines.append(f"slowest: {clause(slowest.name)}, {so_long} ({share:.0%} of the total)")
    known = "began" if start.beginning_known else "known from"
    lines.append(f"{known}: {moment(start.started_at)}")
    if start.uid:
        lines.append(f"uid: {start.uid}")
    if start.node:
        lines.append(f"node: {start.node}")
    if ready := ready_after(start):
        source = _READY_SOURCES.get(start.ready.source, start.ready.source)
        note = f"; {start.ready.note}" if start.ready.note else ""
        lines.append(f"Ready after {ready}, {source}{note}")
    elif start.ready.note and not start.waiting:
        lines.append(start.ready.note)
    if start.length_known and start.unexplained_ms >= LEAST_TOLD_MS:
        lines.append(f"unexplained: {_told(start.unexplained_ms, start)} of which nothing is known")
    if start.spans_without_parent:
        lines.append(
            f"spans whose parent is lost or has not arrived yet: {start.spans_without_parent}"
        )
    if start.missing:
        lines.append(f"without {'; without '.join(start.missing)}")
    lines += map(brief, start.notes)
    steps = (*start.steps, *start.ready.steps)
    told = grouped((brief(step.name), step.error) for step in steps if step.error)
    more = len(told) - _MOST_ERRORS
    return lines + told[:_MOST_ERRORS] + ([f"{more:,} more errors: see --json"] if more > 0 else [])


def moment(at: datetime) -> str:
    """``2023-11-14 22:13:20.000 UTC``."""
    return at.isoformat(sep=" ", timespec="milliseconds").replace("+00:00", " UTC")


def waits_for(waiting: Waiting, now: datetime | None) -> str:
    """``waiting for the pull of busybox, for 20 s``."""
    seconds = waiting.seconds(now)
    if seconds is None:
        return brief(waiting.what)
    return f"{clause(waiting.what)}, for {duration(seconds)}"


def bar_width(columns: int) -> int:
    """Columns for the bars: a quarter of the line, or none where the line is short."""
    return min(_LONGEST_BAR, columns // 4) if columns >= _NARROW else 0


def table(start: PodStart, columns: int) -> Table:
    """The start's steps, and those until it was Ready."""
    return table_of((*start.steps, *start.ready.steps), start.length_ms, columns)


def table_of(steps: Sequence[Step], length_ms: float, columns: int) -> Table:
    """One line for each step; ``*`` marks the few that made the length, with their share of it.

    Of what was tried many times, the first tries and the last one; of very many other steps, the
    longest and those that failed.
    """
    waterfall = Table(
        box=None, pad_edge=False, padding=(0, 1), show_header=True, header_style="bold"
    )
    waterfall.add_column("start", justify="right", no_wrap=True)
    waterfall.add_column("took", justify="right", no_wrap=True)
    waterfall.add_column("share", no_wrap=True)
    waterfall.add_column("component", no_wrap=True)
    if width := bar_width(columns):
        waterfall.add_column("", no_wrap=True, width=width)
    waterfall.add_column("step", overflow="fold")
    before_last = [""] * (len(waterfall.columns) - 1)
    rows = list(fold(steps))
    kept = [step for step in rows if isinstance(step, Step)]
    shown = set(map(id, _most_important(kept)))
    for step in rows:
        if isinstance(step, int):
            waterfall.add_row(*before_last, f"… {step:,} more of these: see --json")
            continue
        if id(step) not in shown:
            continue
        style = "dim" if step.unexplained else _STYLES.get(step.component, "")
        label = Text("  " * step.depth + brief(step.name), "dim" if step.unexplained else "")
        if step.placed:
            label.append("  (placed)", "dim")
        if step.error:
            label.append("  FAILED", "bold red")
        bars = [Text(bar(step, length_ms, width), style)] if width else []
        waterfall.add_row(
            milliseconds(step.start_ms),
            milliseconds(step.duration_ms),
            Text(f"* {step.share:.0%}" if step.critical else "", "bold yellow"),
            Text(step.component, style),
            *bars,
            Cell(label),
        )
    if left_out := len(kept) - len(shown):
        waterfall.add_row(*before_last, f"… {left_out:,} more: see --json")
    return waterfall


def _most_important(steps: Sequence[Step]) -> list[Step]:
    """All of ``steps`` in their order, or of too many the marked, the failed and the longest."""
    places = sorted(
        range(len(steps)),
        key=lambda at: (not steps[at].critical, not steps[at].error, -steps[at].duration_ms),
    )
    return [steps[at] for at in sorted(places[:_MOST_LINES])]


def bar(step: Step, total_ms: float, width: int) -> str:
    """The step's place in the start, on ``width`` columns; the bar has at least one column."""
    if total_ms <= 0:
        return ""
    begin = min(width - 1, round(step.start_ms / total_ms * width))
    end = max(begin + 1, min(width, round(step.end_ms / total_ms * width)))
    mark = "░" if step.unexplained else "▒" if step.component == SCHEDULER else "█"
    return " " * begin + (mark if step.depth == 0 else "▪") * (end - begin)
