"""The figures of a benchmark: collected by row and column, shown as one table."""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence

from rich.console import Console
from rich.table import Table

COLUMNS = ("by hand", "pulumi", "empty program")


class Figures:
    """Values by row and column; a row's name has its unit, without one it is seconds."""

    def __init__(self) -> None:
        self._values: dict[str, dict[str, list[float]]] = {}

    def add(self, row: str, column: str, value: float) -> None:
        self._values.setdefault(row, {}).setdefault(column, []).append(value)
        print(f"{row}, {column}: {value:.2f}", file=sys.stderr, flush=True)

    def time(self, row: str, column: str, work: Callable[[], object]) -> None:
        begin = time.monotonic()
        work()
        self.add(row, column, time.monotonic() - begin)

    def percentiles(self, row: str, column: str, values: Sequence[float], unit: str = "s") -> None:
        """Adds the 50th and the 99th percentile of ``values``."""
        ordered = sorted(values)
        for percent in (50, 99):
            value = ordered[min(len(ordered) * percent // 100, len(ordered) - 1)]
            self.add(f"{row}, p{percent} of {len(ordered)} ({unit})", column, value)

    def medians(self) -> dict[str, dict[str, float]]:
        return {
            row: {column: statistics.median(values) for column, values in columns.items()}
            for row, columns in self._values.items()
        }

    def show(self, *, as_json: bool) -> None:
        """Prints the medians; the ratio is of Pulumi's to the first other column that has one."""
        medians = self.medians()
        if as_json:
            print(json.dumps(medians, indent=2))
            return
        table = Table("", "by hand", "pulumi", "ratio", "empty program")
        for row, columns in medians.items():
            by_hand, ours, empty = (columns.get(column) for column in COLUMNS)
            base = by_hand or empty
            ratio = f"{ours / base:.1f}" if ours and base else ""
            table.add_row(row, _shown(by_hand), _shown(ours), ratio, _shown(empty))
        Console(width=120).print(table)


def _shown(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"
