"""A pod's start as a waterfall in the terminal."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from ktrace.podstart.start import PodStart, Step
from ktrace.view.terminal import milliseconds

_LONGEST_BAR = 36
_NARROW = 100
"""Columns below which bars would leave the steps' names too little."""
_STYLES = {
    "apiserver": "blue",
    "scheduler": "magenta",
    "kubelet": "green",
    "containerd": "cyan",
}


def title(start: PodStart) -> str:
    state = " started in" if start.whole else ": no container seen to start in"
    return f"pod {start.namespace}/{start.pod}{state} {milliseconds(start.duration_ms)}"


def summary(start: PodStart) -> list[str]:
    """What a reader should take home, in words."""
    lines = []
    slowest = start.slowest
    if slowest and start.duration_ms:
        share = slowest.duration_ms / start.duration_ms
        lines.append(
            f"slowest: {slowest.name}, {milliseconds(slowest.duration_ms)} ({share:.0%} of it all)"
        )
    gaps = [step for step in start.steps if step.unexplained]
    named = "; ".join(f"{step.name} {milliseconds(step.duration_ms)}" for step in gaps)
    lines.append(
        f"unexplained: {milliseconds(start.unexplained_ms)} that no span covers"
        + (f": {named}" if named else "")
    )
    if start.holes:
        lines.append(f"spans whose parent is lost, or still on its way: {start.holes}")
    lines += start.notes
    errors = [f"error in {step.name}: {step.error}" for step in start.steps if step.error]
    return lines + list(dict.fromkeys(errors))


def bar_width(columns: int) -> int:
    """What of a line is the bars': a quarter, or nothing where it is narrow."""
    return min(_LONGEST_BAR, columns // 4) if columns >= _NARROW else 0


def table(start: PodStart, columns: int) -> Table:
    """One line for each step; ``*`` marks those the start waited for."""
    made = Table(box=None, pad_edge=False, padding=(0, 1), show_header=True, header_style="bold")
    made.add_column("start", justify="right", no_wrap=True)
    made.add_column("took", justify="right", no_wrap=True)
    made.add_column("", no_wrap=True)
    made.add_column("component", no_wrap=True)
    if width := bar_width(columns):
        made.add_column("", no_wrap=True, width=width)
    made.add_column("step", overflow="fold")
    for step in start.steps:
        style = "dim" if step.unexplained else _STYLES.get(step.component, "")
        label = Text("  " * step.depth + step.name, "dim" if step.unexplained else "")
        if step.error:
            label.append("  FAILED", "bold red")
        bars = [Text(bar(step, start.duration_ms, width), style)] if width else []
        made.add_row(
            milliseconds(step.start_ms),
            milliseconds(step.duration_ms),
            Text("*" if step.critical else "", "bold yellow"),
            Text(step.component, style),
            *bars,
            label,
        )
    return made


def bar(step: Step, total_ms: float, width: int) -> str:
    """The step's place in the whole, as ``width`` columns; at least one column wide."""
    if total_ms <= 0:
        return ""
    begin = min(width - 1, round(step.start_ms / total_ms * width))
    end = max(begin + 1, min(width, round(step.end_ms / total_ms * width)))
    mark = "░" if step.unexplained else "▒" if step.component == "scheduler" else "█"
    return " " * begin + (mark if step.depth == 0 else "▪") * (end - begin)
