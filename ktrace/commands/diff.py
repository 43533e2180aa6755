"""``ktrace diff``: have starts become slower?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ktrace.errors import FINDING, UsageError
from ktrace.target import options
from ktrace.view import terminal

_LEAST = 5
"""Starts of each side after the first: the interval of fewer says nothing."""


def diff(
    before: Annotated[Path, typer.Argument(metavar="A", help="A file of `ktrace bench --save`.")],
    after: Annotated[Path, typer.Argument(metavar="B", help="Another one.")],
    *,
    as_json: options.JsonOption = False,
) -> None:
    """Have starts become slower? Compares two measurements of `ktrace bench`, step by step.

    Compared are the medians of the starts after the first. A difference is shown if the bootstrap
    interval of all rows together, at 99%, leaves out zero, and it is 5% of the whole start or more:
    less is what two runs on one machine differ by. Anything else is "no difference shown", which
    does not say that there is none.

    Examples:

      ktrace bench --save before.json; kubectl apply -f webhook.yaml; ktrace bench --save after.json

      ktrace diff before.json after.json

      ktrace diff before.json after.json --json | jq '.rows[] | select(.shown) | .name'

    Exit codes: 0 no slower start is shown, 1 B's whole start is slower, 2 wrong usage.
    """
    from ktrace.benchmark import file
    from ktrace.benchmark.samples import WHOLE, rows
    from ktrace.benchmark.statistics import compare
    from ktrace.view import benchmark

    one, other = file.read(before), file.read(after)
    for name, measured in ((before, one), (after, other)):
        if len(measured.warm) < _LEAST:
            raise UsageError(
                f"{name} has {terminal.counted(len(measured.warm), 'start')} after the first, and "
                f"a comparison needs {_LEAST}: measure with --pods {_LEAST + 1} or more"
            )
    shifts = compare(rows(one.warm), rows(other.warm))
    cautions = benchmark.cautions(one, other)
    if as_json:
        terminal.print_json(benchmark.document(shifts, cautions))
    else:
        console = terminal.console()
        console.print(benchmark.verdict(shifts), style="bold", markup=False)
        for label, name, measured in (("A", before, one), ("B", after, other)):
            console.print(f"{label}: {name}, {benchmark.title(measured)}", markup=False)
        console.print(benchmark.differences(shifts))
        for caution in cautions:
            console.print(caution, markup=False)
    whole = shifts[WHOLE]
    if whole.shown and whole.after > whole.before:
        raise typer.Exit(FINDING)
