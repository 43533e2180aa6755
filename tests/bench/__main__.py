"""Measures what a stack costs, beside the same made by hand, and prints one table.

Each figure is the median of the rounds. The machine should be quiet, with all images there.
Ctrl-C removes what was made. Exit codes: 0 measured, 1 something failed, 2 wrong usage.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from runtime_observability.host import kubeapi
from tests.bench.by_hand import ByHand
from tests.live import environment
from tests.live.command import Running
from tests.live.pods import pods
from tests.live.ports import free_offset
from tests.live.stack import UP_SECONDS, Stack, copy_project
from tests.live.starts import start_of
from tests.live.waiting import until

_EMPTY = "name: empty\nruntime: {name: python, options: {virtualenv: .venv}}\n"
UP = "up: network, Jaeger, collector, cluster"
UP_AGAIN = "up, nothing to do"
PREVIEW = "preview"
REMOVE = "remove all of it"
_TRACE_SECONDS = 60.0
_REQUESTS = 200


class Figures:
    """Seconds, unless the name has another unit; by row and column."""

    def __init__(self) -> None:
        self.values: dict[str, dict[str, list[float]]] = {}

    def add(self, row: str, column: str, value: float) -> None:
        self.values.setdefault(row, {}).setdefault(column, []).append(value)
        print(f"{row}, {column}: {value:.2f}", file=sys.stderr, flush=True)

    def time(self, row: str, column: str, work: Callable[[], object]) -> None:
        begin = time.monotonic()
        work()
        self.add(row, column, time.monotonic() - begin)

    def medians(self) -> dict[str, dict[str, float]]:
        return {
            row: {column: statistics.median(values) for column, values in columns.items()}
            for row, columns in self.values.items()
        }


def main(arguments: Sequence[str]) -> int:
    options = _options(arguments)
    figures = Figures()
    try:
        with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
            _measure(figures, options, Path(scratch), environment.of_make())
    except AssertionError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    finally:
        _show(figures.medians(), as_json=options.json)
    return 0


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="of each measurement (default: 3)")
    parser.add_argument("--pods", type=int, default=50, help="in the burst (default: 50)")
    parser.add_argument("--json", action="store_true", help="print medians as JSON")
    return parser.parse_args(arguments)


def _measure(
    figures: Figures, options: argparse.Namespace, scratch: Path, environ: Mapping[str, str]
) -> None:
    stack = Stack(copy_project(scratch / "stack"), dict(environ))
    folder = scratch / "by hand"
    folder.mkdir()
    hand = ByHand.like({**stack.base, "portOffset": free_offset()}, folder, stack.environment)
    try:
        for _ in range(options.rounds):
            _by_hand(figures, hand)
        for _ in range(options.rounds):
            _by_pulumi(figures, stack)
        stack.up()
        _starts(figures, stack, options)
        _cost(figures, stack, "at rest")
        _requests(figures, stack.directory / "kubeconfig", "pulumi")
        _burst(figures, stack, options.pods)
        _cost(figures, stack, "after the burst")
        _empty_program(figures, scratch / "empty", stack, options.rounds)
    finally:
        stack.finish()


def _by_hand(figures: Figures, hand: ByHand) -> None:
    try:
        figures.time("k3d cluster create, nothing else", "by hand", hand.bare_up)
        _requests(figures, hand.kubeconfig, "by hand")
    finally:
        hand.bare_down()
    try:
        figures.time(UP, "by hand", hand.up)
    finally:
        figures.time(REMOVE, "by hand", hand.down)


def _by_pulumi(figures: Figures, stack: Stack) -> None:
    figures.time(UP, "pulumi", stack.up)
    figures.time(UP_AGAIN, "pulumi", stack.up)
    figures.time(PREVIEW, "pulumi", lambda: stack.pulumi("preview"))
    figures.time(REMOVE, "pulumi", stack.destroy)


def _starts(figures: Figures, stack: Stack, options: argparse.Namespace) -> None:
    """From a pod's creation until its whole start can be read in Jaeger."""
    for _ in range(options.rounds * 5):
        begin = time.monotonic()
        with pods(stack, "sleep", "60") as single:
            name = f"{single.name}-0"
            until("the trace", lambda pod=name: start_of(stack, pod), _TRACE_SECONDS, every=0.05)  # type: ignore[misc]
            figures.add("pod start to readable trace", "pulumi", time.monotonic() - begin)


def _burst(figures: Figures, stack: Stack, number: int) -> None:
    with pods(stack, "sleep", "300", count=number) as many:
        many.wait_for("Running", 300)
        time.sleep(5)  # the exporters' delay, several times over
        found = sum(start_of(stack, f"{many.name}-{index}") is not None for index in range(number))
        figures.add(f"whole traces of a burst of {number} pods (number)", "pulumi", found)


def _cost(figures: Figures, stack: Stack, when: str) -> None:
    """One look of `docker stats`, which itself takes two samples."""
    for name, part in (
        (stack.jaeger, "Jaeger"),
        (stack.collector, "collector"),
        (stack.server, "node"),
    ):
        line = stack.docker("stats", "--no-stream", "--format", "{{json .}}", name)
        shown = json.loads(line)
        figures.add(f"{part}'s memory {when} (MiB)", "pulumi", _mebibytes(shown["MemUsage"]))
        percent = float(shown["CPUPerc"].removesuffix("%"))
        figures.add(f"{part}'s CPU {when} (% of one)", "pulumi", percent)


def _mebibytes(usage: str) -> float:
    """Of ``57.3MiB / 1GiB``."""
    used = usage.partition(" ")[0]
    for unit, factor in (("GiB", 1024.0), ("MiB", 1.0), ("KiB", 1 / 1024)):
        if used.endswith(unit):
            return float(used.removesuffix(unit)) * factor
    return 0.0


def _requests(figures: Figures, kubeconfig: Path, column: str) -> None:
    """Latency of reads; by hand the API server is not traced."""
    api = kubeapi.core(kubeconfig)
    api.list_namespace()
    taken = []
    for _ in range(_REQUESTS):
        begin = time.monotonic()
        api.list_namespace()
        taken.append((time.monotonic() - begin) * 1000)
    taken.sort()
    figures.add("list of namespaces, p50 (ms)", column, taken[len(taken) // 2])
    figures.add("list of namespaces, p99 (ms)", column, taken[len(taken) * 99 // 100])


def _empty_program(figures: Figures, folder: Path, stack: Stack, rounds: int) -> None:
    """What Pulumi itself takes: the rows with `pulumi` can take no less."""
    folder.mkdir()
    (folder / "Pulumi.yaml").write_text(_EMPTY)
    (folder / "__main__.py").write_text("")
    (folder / ".venv").symlink_to(stack.folder / ".venv")
    variables = environment.of_stack(stack.environment, folder)

    def pulumi(*arguments: str) -> None:
        argv = ["pulumi", *arguments, "--non-interactive"]
        Running(argv, folder, variables, folder / "runs").wait(UP_SECONDS).succeeded()

    pulumi("stack", "init", "empty")
    for _ in range(rounds):
        figures.time(UP_AGAIN, "empty program", lambda: pulumi("up", "--yes", "--skip-preview"))
        figures.time(PREVIEW, "empty program", lambda: pulumi("preview"))


def _show(medians: Mapping[str, Mapping[str, float]], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(medians, indent=2))
        return
    table = Table("", "by hand", "pulumi", "ratio", "empty program")
    for row, columns in medians.items():
        by_hand, ours, empty = (columns.get(one) for one in ("by hand", "pulumi", "empty program"))
        base = by_hand or empty
        ratio = f"{ours / base:.1f}" if ours and base else ""
        shown = (f"{value:.2f}" if value is not None else "" for value in (by_hand, ours))
        table.add_row(row, *shown, ratio, f"{empty:.2f}" if empty else "")
    Console(width=110).print(table)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
