"""Counts how often ``ktrace diff`` tells a difference where nothing was changed.

``python -m tests.bench.false_alarms``: on one stack ``ktrace bench`` runs again and again, and each
measurement is compared with the next one. What else the machine does may differ between two, so it
should do nothing else. Exit codes: 0 counted, 1 something failed, 2 wrong usage.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from tests.bench.report import on_a_stack
from tests.e2e.ktrace import ktrace
from tests.live.pods import wait_for_api
from tests.live.stack import Stack

_SECONDS = 900.0
"""For one measurement."""


@dataclass(frozen=True)
class Comparison:
    """What was told of a measurement and the next one."""

    before_ms: float
    after_ms: float
    """The medians of the whole start."""
    shown: Sequence[str]
    """The rows of which a difference was told."""

    def __str__(self) -> str:
        told = f"ALARM: {'; '.join(self.shown)}" if self.shown else "no difference"
        return f"{self.before_ms:.0f} ms, {self.after_ms:.0f} ms: {told}"


def compared(document: str) -> Comparison:
    """``document`` is what ``ktrace diff --json`` printed."""
    rows = json.loads(document)["rows"]
    (whole,) = [row for row in rows if row["name"] == "start"]
    shown = [row["name"] for row in rows if row["shown"]]
    return Comparison(whole["beforeMs"], whole["afterMs"], shown)


def summary(found: Sequence[Comparison]) -> str:
    alarms = sum(bool(comparison.shown) for comparison in found)
    medians = [value for one in found for value in (one.before_ms, one.after_ms)]
    between = f"{min(medians):.0f} to {max(medians):.0f} ms" if medians else "none"
    return (
        f"{len(found)} comparisons without a change, {alarms} told a difference; medians {between}"
    )


def compare(stack: Stack, number: int, pods: int, folder: Path) -> Iterator[Comparison]:
    """``number`` comparisons of ``pods`` starts each; the measurements are kept in ``folder``."""
    for before, after in pairwise(_measured(stack, number + 1, pods, folder)):
        done = ktrace(stack, "diff", str(before), str(after), "--json")
        assert done.returncode in (0, 1), done.stderr
        yield compared(done.stdout)


def _measured(stack: Stack, number: int, pods: int, folder: Path) -> Iterator[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    for turn in range(number):
        file = folder / f"{turn:02}.json"
        arguments = ("bench", f"--pods={pods}", "--json", "--stack", stack.name)
        done = ktrace(stack, *arguments, seconds=_SECONDS)
        assert done.returncode == 0, done.stdout + done.stderr
        file.write_text(done.stdout, encoding="utf-8")
        yield file


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.false_alarms", description=__doc__)
    parser.add_argument("--repetitions", type=int, default=20, help="comparisons (default: 20)")
    parser.add_argument("--pods", type=int, default=15, help="of a measurement (default: 15)")
    parser.add_argument("--keep", type=Path, help="folder that keeps the measurements")
    options = parser.parse_args(arguments)
    found: list[Comparison] = []

    def measure(stack: Stack, scratch: Path) -> None:
        stack.settle()
        wait_for_api(stack)
        folder = options.keep or scratch / "measurements"
        for comparison in compare(stack, options.repetitions, options.pods, folder):
            found.append(comparison)
            print(comparison, file=sys.stderr, flush=True)

    return on_a_stack(measure, lambda: summary(found))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
