"""``ktrace diff``: have starts become slower?"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from ktrace.errors import FINDING, UsageError
from ktrace.target import options, target
from ktrace.view import terminal

if TYPE_CHECKING:
    from ktrace.benchmark.found import Tell
    from ktrace.benchmark.samples import Measurement

_LEAST = 5
"""Starts of each side after the first: the interval of fewer says nothing."""
_WHAT = "A file of `ktrace bench --save`, a bundle, stack:NAME or window:FROM/TO."


class FailOn(StrEnum):
    START = "start"
    ANY = "any"


def diff(
    before: Annotated[str, typer.Argument(metavar="A", help=_WHAT)],
    after: Annotated[str, typer.Argument(metavar="B", help="Another one.")],
    *,
    pods: Annotated[
        str,
        typer.Option(
            "--pods",
            metavar="NS/NAME",
            help="Whose pods are compared. Default: of what both have, that with most starts.",
            show_default=False,
        ),
    ] = "",
    since: Annotated[
        str,
        typer.Option("--since", metavar="TIME", help="How far back a stack's starts are read."),
    ] = "1h",
    fail_on: Annotated[
        FailOn,
        typer.Option(
            "--fail-on",
            help="What must be slower for exit code 1: the whole start, or any row: Ready and each "
            "step too.",
        ),
    ] = FailOn.START,
    stack: options.TracesOption = None,
    jaeger_url: options.JaegerOption = None,
    kubeconfig: options.KubeconfigOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Have starts become slower? Compares those of two files, stacks or windows, step by step.

    Compared are the medians of the starts after the first. A difference is shown if the bootstrap
    interval of all rows together, at 99%, leaves out zero, and it is 5% of the whole start or more:
    less is what two runs on one machine differ by. Anything else is "no difference shown", which
    does not say that there is none.

    stack:NAME are the starts of the last hour in that stack's Jaeger, window:FROM/TO those of a
    time, of the selected stack or of --stack: window:30m/10m (ago), window:14:00/now. Of these only
    the starts of like pods are compared: pods of one owner with the same containers.

    Examples:

      ktrace bench --save before.json; kubectl apply -f webhook.yaml; ktrace bench --save after.json

      ktrace diff before.json after.json

      ktrace diff stack:one stack:two

      ktrace diff window:1h/30m window:30m/now --pods shop/web

      ktrace diff before.json after.json --json | jq '.rows[] | select(.shown) | .name'

      ktrace diff before.json after.json --fail-on any

    Exit codes: 0 no slower start is shown, 1 B's whole start is slower (with --fail-on any: a row
    of B is), 2 wrong usage, 3 Jaeger cannot be reached.
    """
    from ktrace.benchmark import alike, sources
    from ktrace.benchmark.samples import WHOLE, rows
    from ktrace.benchmark.statistics import compare
    from ktrace.view import benchmark
    from runtime_observability.core.durations import milliseconds

    back = milliseconds(since)
    if back is None:
        raise UsageError(f"--since {since!r} is not a time: write 30s, 10m or 2h")
    choose = partial(target.choose, stack, jaeger_url, kubeconfig)
    one, other = (
        sources.read(text, back * 1_000, choose, _progress, stack) for text in (before, after)
    )
    uncounted = benchmark.not_counted(one, other)
    cautions = list(uncounted)
    of_what, cure = "", f"measure with `ktrace bench --pods {_LEAST + 1}` or more"
    if not (one.image and other.image):
        kinds = alike.common(one, other, pods)
        if not kinds:
            told = [_nothing_alike(before, one, after, other, pods), *cautions]
            raise UsageError("; ".join(told))
        cautions += benchmark.not_compared(one, other, kinds[0])
        of_what, cure = f" of {kinds[0]}", "choose a longer time, or start more such pods"
        one, other = alike.only(one, kinds[0]), alike.only(other, kinds[0])
    elif pods:
        raise UsageError("--pods chooses among what clusters have: a measurement has its own pods")
    for name, measured in ((before, one), (after, other)):
        if len(measured.warm) < _LEAST:
            raise UsageError(
                f"{name} has {terminal.counted(len(measured.warm), 'start')}{of_what} after the "
                f"first, and a comparison needs {_LEAST}: {'; '.join([cure, *uncounted])}"
            )
    shifts = compare(rows(one.warm), rows(other.warm))
    cautions = [*benchmark.cautions(one, other), *cautions]
    if as_json:
        terminal.print_json(benchmark.document(shifts, cautions))
    else:
        terminal.show(benchmark.verdict(shifts), style="bold")
        for label, name, measured in (("A", before, one), ("B", after, other)):
            terminal.show(f"{label}: {name}, {benchmark.title(measured)}")
        terminal.show(*benchmark.differences(shifts, terminal.console().width), *cautions)
    judged = shifts.values() if fail_on is FailOn.ANY else [shifts[WHOLE]]
    if any(shift.slower for shift in judged):
        raise typer.Exit(FINDING)


def _nothing_alike(
    before: str, one: Measurement, after: str, other: Measurement, wanted: str
) -> str:
    from ktrace.benchmark import alike

    def told(name: str, measured: Measurement) -> str:
        owners = alike.owners(alike.counted(measured))
        if not owners:
            return f"{name} has no whole start"
        more = f" and {len(owners) - _LEAST} more" if len(owners) > _LEAST else ""
        return f"{name} has starts of {', '.join(owners[:_LEAST])}{more}"

    what = f"no starts of {wanted}" if wanted else "no starts of like pods"
    return (
        f"A and B have {what} in common: {told(before, one)}; {told(after, other)}. Start the same "
        "pods in both, as `ktrace bench` does"
    )


@contextmanager
def _progress(what: str) -> Iterator[Tell]:
    """Tells how many starts of how many are read, on a terminal."""
    with terminal.telling(what) as tell:
        yield lambda number, of: tell(f"{number} of {of} {what}")
