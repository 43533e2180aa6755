"""Measured starts, and the differences of two measurements, for a terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import RenderableType
from rich.table import Table

from ktrace.benchmark import alike
from ktrace.benchmark.samples import DETAIL, READY, TOTALS, WHOLE, Measurement, rows
from ktrace.benchmark.statistics import Shift
from ktrace.document import versioned
from ktrace.percentiles import LEAST_FOR_P90, LEAST_FOR_P99, percentile
from ktrace.view.lines import Cell
from ktrace.view.terminal import counted, milliseconds

_UNKNOWN = "-"
_INTERVAL = "99% interval"
_HEADINGS = ("A", "B", "B - A", _INTERVAL, "")
_READABLE = 24
"""Columns of a row's name at least."""


def summary(measured: Measurement) -> Iterator[RenderableType]:
    """What was measured, percentiles of the whole and of each step, and what is left out."""
    yield title(measured)
    if measured.first:
        first = milliseconds(measured.first.start_ms)
        yield f"first start, not in the table: {first}  {measured.first.trace_url}".rstrip()
    if measured.warm:
        yield _percentiles(measured)
        slowest = max(measured.warm, key=lambda sample: sample.start_ms)
        took = milliseconds(slowest.start_ms)
        yield f"slowest: {slowest.pod}, {took}  {slowest.trace_url}".rstrip()
    if 0 < len(measured.warm) < LEAST_FOR_P99:
        p90 = f"p90 needs {LEAST_FOR_P90}, " if len(measured.warm) < LEAST_FOR_P90 else ""
        yield f"{p90}p99 needs {LEAST_FOR_P99} starts after the first: --pods {LEAST_FOR_P99 + 1}"
    for pod, reason in measured.failures.items():
        yield f"not measured: {pod}: {reason}"


def title(measured: Measurement) -> str:
    where = ", ".join([f"Kubernetes {measured.kubernetes}", *measured.runtimes])
    return f"{counted(measured.number, 'start')} of {measured.image}, {where}"


def _percentiles(measured: Measurement) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("")
    for heading in ("p50", "p90", "p99", "most"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, values in rows(measured.warm).items():
        found = [percentile(values, part) for part in (0.5, 0.9, 0.99)]
        cells = [_UNKNOWN if value is None else milliseconds(value) for value in found]
        style = "bold" if name in TOTALS else ""
        table.add_row(_label(name), *cells, milliseconds(max(values)), style=style)
    return table


def _label(name: str) -> RenderableType:
    """Indented by what it is a part of, also where it takes several lines."""
    step, _, detail = name.partition(DETAIL)
    indent = 0 if name in TOTALS else 4 if detail else 2
    return Cell(" " * indent + (detail or step))


def verdict(shifts: Mapping[str, Shift]) -> str:
    """One line: whether the second's starts take longer."""
    whole = shifts[WHOLE]
    steps = [name for name, shift in shifts.items() if shift.shown and name not in TOTALS]
    explained = {name.partition(DETAIL)[0] for name in steps if DETAIL in name}
    told = [name for name in steps if name not in explained]
    among = f"; differs: {'; '.join(told)}" if told else ""
    if not whole.shown:
        return f"no difference of the whole start shown{among}"
    word = "slower" if whole.after > whole.before else "faster"
    amount = milliseconds(abs(whole.after - whole.before))
    return f"B starts {amount} {word} than A{among}"


def differences(shifts: Mapping[str, Shift], columns: int) -> Iterator[RenderableType]:
    """A line for each row; where ``columns`` have no room for the interval it is left out."""
    rows = {name: _cells(shift) for name, shift in shifts.items()}
    wide = _READABLE + sum(
        max(map(len, column)) + 1 for column in zip(_HEADINGS, *rows.values(), strict=True)
    )
    left_out = wide > columns
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("median")
    for heading in _HEADINGS[:-1]:
        if not (left_out and heading == _INTERVAL):
            table.add_column(heading, justify="right", no_wrap=True)
    table.add_column(_HEADINGS[-1], no_wrap=True)
    for name, (before, after, difference, interval, word) in rows.items():
        cells = [before, after, difference, *([] if left_out else [interval]), word]
        table.add_row(_label(name), *cells, style="bold" if shifts[name].shown else "")
    yield table
    if left_out:
        yield f"no room for the {_INTERVAL}: --json has it"


def _cells(shift: Shift) -> tuple[str, str, str, str, str]:
    """Those of ``_HEADINGS``."""
    return (
        milliseconds(shift.before),
        milliseconds(shift.after),
        _signed(shift.after - shift.before),
        f"{_signed(shift.low)} to {_signed(shift.high)}",
        _word(shift),
    )


def document(shifts: Mapping[str, Shift], cautions: Sequence[str]) -> dict[str, Any]:
    """The shape that ``diff --json`` promises: docs/schemas/diff.json."""
    return versioned(
        {
            "rows": [
                {
                    "name": name,
                    "beforeMs": round(shift.before, 1),
                    "afterMs": round(shift.after, 1),
                    "lowMs": round(shift.low, 1),
                    "highMs": round(shift.high, 1),
                    "relevantMs": round(shift.relevant, 1),
                    "shown": shift.shown,
                }
                for name, shift in shifts.items()
            ],
            "cautions": list(cautions),
        }
    )


def _word(shift: Shift) -> str:
    if not shift.shown:
        return ""
    return "slower" if shift.after > shift.before else "faster"


def _signed(value: float) -> str:
    sign = "-" if value < 0 else "+"
    return f"{sign}{milliseconds(abs(value))}"


def not_compared(before: Measurement, after: Measurement, kind: alike.Kind) -> Sequence[str]:
    """Starts that A and B have besides those of ``kind``, in words."""
    mine, theirs = alike.counted(before), alike.counted(after)
    others = [other for other in alike.common(before, after) if other != kind]
    found = []
    if others:
        told = ", ".join(f"{other.owner} ({mine[other]}, {theirs[other]})" for other in others)
        found.append(f"in both but not compared: {told}; --pods NAMESPACE/NAME chooses")
    for label, own, rest in (("A", mine, theirs), ("B", theirs, mine)):
        if alone := alike.owners(kind for kind in own if kind not in rest):
            found.append(f"only in {label}: {', '.join(alone)}")
    return found


def not_counted(before: Measurement, after: Measurement) -> Sequence[str]:
    """How many starts count nowhere, and why."""
    found = []
    for label, measured in (("A", before), ("B", after)):
        for reason, number in Counter(measured.failures.values()).most_common():
            found.append(f"not counted in {label}: {counted(number, 'start')}, as {reason}")
        if measured.lost:
            found.append(f"starts may be missing in {label}: {measured.lost}")
    return found


def cautions(before: Measurement, after: Measurement) -> Sequence[str]:
    """What else differs, so that a difference may come from it."""
    found = []
    ready = [READY in rows(measured.warm) for measured in (before, after)]
    if not all(ready):
        where = " and ".join(name for name, known in zip("AB", ready, strict=True) if not known)
        found.append(f"when the pods were Ready is not known in {where}")
    if before.parallel and after.parallel and before.image != after.image:
        found.append(f"the images differ: {before.image}, {after.image}")
    if before.parallel and after.parallel and before.parallel != after.parallel:
        found.append(f"the pods started {before.parallel} and {after.parallel} at once")
    return found
