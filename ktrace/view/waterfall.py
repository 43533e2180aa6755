"""A pod's start as a waterfall in the terminal."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from ktrace.components import APISERVER, CONTAINERD, KUBELET, SCHEDULER
from ktrace.podstart.model import PodStart, Step
from ktrace.view.terminal import milliseconds

_LONGEST_BAR = 36
_NARROW = 100
"""Columns below which bars would leave too little room for the steps' names."""
_STYLES = {
    APISERVER: "blue",
    SCHEDULER: "magenta",
    KUBELET: "green",
    CONTAINERD: "cyan",
}


def title(start: PodStart) -> str:
    state = " started in" if start.complete else ": no container start seen in"
    return f"pod {start.namespace}/{start.pod}{state} {milliseconds(start.duration_ms)}"


def summary(start: PodStart) -> list[str]:
    """The slowest step, the unexplained time, notes and errors; one line for each."""
    lines = []
    slowest = start.slowest
    if slowest and start.duration_ms:
        share = slowest.duration_ms / start.duration_ms
        lines.append(
            f"slowest: {slowest.name}, {milliseconds(slowest.duration_ms)} "
            f"({share:.0%} of the total)"
        )
    gaps = [step for step in start.steps if step.unexplained]
    details = "; ".join(f"{step.name} {milliseconds(step.duration_ms)}" for step in gaps)
    lines.append(
        f"unexplained: {milliseconds(start.unexplained_ms)} that no span covers"
        + (f": {details}" if details else "")
    )
    if start.spans_without_parent:
        lines.append(
            f"spans whose parent is lost or has not arrived yet: {start.spans_without_parent}"
        )
    lines += start.notes
    errors = [f"error in {step.name}: {step.error}" for step in start.steps if step.error]
    return lines + list(dict.fromkeys(errors))


def bar_width(columns: int) -> int:
    """Columns for the bars: a quarter of the line, or none where the line is short."""
    return min(_LONGEST_BAR, columns // 4) if columns >= _NARROW else 0


def table(start: PodStart, columns: int) -> Table:
    """One line for each step; ``*`` marks the steps that the start waited for."""
    waterfall = Table(
        box=None, pad_edge=False, padding=(0, 1), show_header=True, header_style="bold"
    )
    waterfall.add_column("start", justify="right", no_wrap=True)
    waterfall.add_column("took", justify="right", no_wrap=True)
    waterfall.add_column("", no_wrap=True)
    waterfall.add_column("component", no_wrap=True)
    if width := bar_width(columns):
        waterfall.add_column("", no_wrap=True, width=width)
    waterfall.add_column("step", overflow="fold")
    for step in start.steps:
        style = "dim" if step.unexplained else _STYLES.get(step.component, "")
        label = Text("  " * step.depth + step.name, "dim" if step.unexplained else "")
        if step.error:
            label.append("  FAILED", "bold red")
        bars = [Text(bar(step, start.duration_ms, width), style)] if width else []
        waterfall.add_row(
            milliseconds(step.start_ms),
            milliseconds(step.duration_ms),
            Text("*" if step.critical else "", "bold yellow"),
            Text(step.component, style),
            *bars,
            label,
        )
    return waterfall


def bar(step: Step, total_ms: float, width: int) -> str:
    """The step's place in the start, on ``width`` columns; the bar has at least one column."""
    if total_ms <= 0:
        return ""
    begin = min(width - 1, round(step.start_ms / total_ms * width))
    end = max(begin + 1, min(width, round(step.end_ms / total_ms * width)))
    mark = "░" if step.unexplained else "▒" if step.component == SCHEDULER else "█"
    return " " * begin + (mark if step.depth == 0 else "▪") * (end - begin)
