"""Measures what a stack costs, beside the same made by hand, and prints one table.

Each figure is the median of the rounds. The machine should be quiet, with all images there.
Ctrl-C removes what was made. Exit codes: 0 measured, 1 something failed, 2 wrong usage.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tests.bench import load
from tests.bench.figures import Figures
from tests.live import environment
from tests.live.by_hand import ByHand
from tests.live.command import Running
from tests.live.ports import free_offset
from tests.live.stack import UP_SECONDS, Stack, copy_project

_EMPTY = "name: empty\nruntime: {name: python, options: {virtualenv: .venv}}\n"
UP = "up: network, Jaeger, collector, cluster"
UP_AGAIN = "up, nothing to do"
PREVIEW = "preview"
REMOVE = "remove all of it"


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
        figures.show(as_json=options.json)
    return 0


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="of each measurement (default: 3)")
    parser.add_argument(
        "--starts", type=int, default=30, help="pods, one after the other (default: 30)"
    )
    parser.add_argument(
        "--pods", type=int, default=200, help="in the burst on two nodes (default: 200)"
    )
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
        for number in range(options.rounds):
            _by_hand(figures, hand, with_costs=number == 0)
        empty = _empty_program(scratch / "empty", stack)
        for _ in range(options.rounds):
            _by_pulumi(figures, stack, empty)
        stack.up()
        load.of_stack_at_rest(figures, stack)
        kubeconfig = stack.directory / "kubeconfig"
        load.requests(figures, "pulumi", kubeconfig, stack.server, stack.environment)
        load.pod_starts(figures, stack, options.starts)
        stack.settle(agents=1)
        load.burst(figures, stack, options.pods)
    finally:
        stack.finish()


def _by_hand(figures: Figures, hand: ByHand, *, with_costs: bool) -> None:
    try:
        figures.time("k3d cluster create, nothing else", "by hand", hand.bare_up)
        if with_costs:
            load.at_rest(figures, "by hand", {"server": hand.server}, hand.environment)
            load.requests(figures, "by hand", hand.kubeconfig, hand.server, hand.environment)
    finally:
        hand.bare_down()
    try:
        figures.time(UP, "by hand", hand.up)
    finally:
        figures.time(REMOVE, "by hand", hand.down)


def _by_pulumi(figures: Figures, stack: Stack, empty: Callable[..., None]) -> None:
    """``empty`` runs Pulumi on an empty program: the rows can take no less than that, measured
    beside the same running cluster."""
    figures.time(UP, "pulumi", stack.up)
    figures.time(UP_AGAIN, "pulumi", stack.up)
    figures.time(UP_AGAIN, "empty program", lambda: empty("up", "--yes", "--skip-preview"))
    figures.time(PREVIEW, "pulumi", lambda: stack.pulumi("preview"))
    figures.time(PREVIEW, "empty program", lambda: empty("preview"))
    figures.time(REMOVE, "pulumi", stack.destroy)


def _empty_program(folder: Path, stack: Stack) -> Callable[..., None]:
    """Makes a project with an empty program, and returns what runs Pulumi in it."""
    folder.mkdir()
    (folder / "Pulumi.yaml").write_text(_EMPTY)
    (folder / "__main__.py").write_text("")
    (folder / ".venv").symlink_to(stack.folder / ".venv")
    variables = environment.of_stack(stack.environment, folder)

    def pulumi(*arguments: str) -> None:
        argv = ["pulumi", *arguments, "--non-interactive"]
        Running(argv, folder, variables, folder / "runs").wait(UP_SECONDS).succeeded()

    pulumi("stack", "init", "empty")
    return pulumi


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
