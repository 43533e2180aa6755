"""A cluster's boot in the terminal, and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from ktrace.boot.build import pairs
from ktrace.boot.model import Boot, Line
from ktrace.document import moment, versioned
from ktrace.view.lines import Cell
from ktrace.view.terminal import counted, duration, milliseconds
from ktrace.view.waterfall import moment as spelled

_MOST_TOLD = 3
_TIMES, _WHAT, _GAP = 28, 36, 2
"""Columns for both times and the mark, for what happened, and between two columns."""


def title(boot: Boot) -> str:
    """What it is, and how long it took."""
    what = "started again" if boot.again else "booted"
    if boot.length_ms is not None:
        nodes = counted(sum(node.in_boot for node in boot.nodes), "node")
        return (
            f"cluster {boot.cluster} {what}: {nodes} Ready after {duration(boot.length_ms / 1000)}"
        )
    if boot.ready is False:
        return f"cluster {boot.cluster} {what}: not every node is Ready"
    if not boot.nodes:
        return f"cluster {boot.cluster} does not run"
    return f"cluster {boot.cluster} {what}: when its nodes were Ready is not known"


def table(boot: Boot, columns: int) -> Table:
    """One line for each moment; ``*`` marks the few waits that made the length.

    Where ``columns`` are too few for all, node and source are told behind what they belong to.
    """
    shown = Table(box=None, pad_edge=False, padding=(0, 1), show_header=True, header_style="bold")
    for heading in ("after", "waited"):
        shown.add_column(heading, justify="right", no_wrap=True)
    shown.add_column("", no_wrap=True)
    shown.add_column("what", overflow="fold")
    several = len(boot.nodes) > 1
    wide = columns >= _width(boot, several=several)
    if several and wide:
        shown.add_column("node", no_wrap=True)
    if wide:
        shown.add_column("source", no_wrap=True)
    for line in boot.lines:
        what = Text(line.mark.what, "bold" if line.critical else "")
        node = line.mark.node if several else ""
        if wide:
            rest: list[RenderableType] = [
                Cell(what),
                *([Text(node)] if several else []),
                Text(_source(line), "dim"),
            ]
        else:
            what.append(f", {node}" if node else "", "not bold")
            rest = [Cell(what.append(f" ({_source(line)})", "dim not bold"))]
        shown.add_row(
            _time(line, line.after_ms),
            _time(line, line.waited_ms) if line is not boot.lines[0] else "",
            Text("*" if line.critical else "", "bold yellow"),
            *rest,
        )
    return shown


def _source(line: Line) -> str:
    return f"{line.mark.source}{', to the second' if line.mark.to_the_second else ''}"


def _width(boot: Boot, *, several: bool) -> int:
    """Of a terminal on which what most lines tell has one line beside its node and source."""
    nodes = (len(line.mark.node) + _GAP if several else 0 for line in boot.lines)
    sources = (len(_source(line)) for line in boot.lines)
    return _TIMES + _WHAT + _GAP + max(nodes, default=0) + max(sources, default=0)


def _time(line: Line, value_ms: float) -> str:
    return duration(value_ms / 1000) if line.mark.to_the_second else milliseconds(value_ms)


def summary(boot: Boot) -> Iterator[str]:
    """What took long, and what is not known; one line for each."""
    for before, line in pairs(boot)[:_MOST_TOLD]:
        took = _time(line, line.waited_ms)
        yield f"{took} from “{before.mark.what}” to “{line.mark.what}”"
    if boot.begun:
        yield f"began: {spelled(boot.begun)}"
    for reason in boot.missing:
        yield f"not known: {reason}"
    yield from boot.notes


def document(boot: Boot) -> dict[str, Any]:
    """The shape that ``boot --json`` promises: docs/schemas/boot.json."""
    return versioned(
        {
            "cluster": boot.cluster,
            "ready": boot.ready,
            "startedAgain": boot.again,
            "begunAt": moment(boot.begun) if boot.begun else None,
            "durationMs": None if boot.length_ms is None else round(boot.length_ms, 1),
            "nodes": [
                {
                    "name": node.name,
                    "createdAt": moment(node.created),
                    "startedAt": moment(node.started),
                    "startedAgain": node.again,
                    "inBoot": node.in_boot,
                }
                for node in boot.nodes
            ],
            "lines": [
                {
                    "at": moment(line.mark.at),
                    "afterMs": round(line.after_ms, 1),
                    "waitedMs": round(line.waited_ms, 1),
                    "critical": line.critical,
                    "what": line.mark.what,
                    "node": line.mark.node or None,
                    "source": line.mark.source,
                    "toTheSecond": line.mark.to_the_second,
                }
                for line in boot.lines
            ],
            "missing": list(boot.missing),
            "notes": list(boot.notes),
        }
    )
