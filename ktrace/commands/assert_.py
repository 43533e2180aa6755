"""``ktrace assert``: expectations on traces, for CI."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from ktrace.errors import FINDING, UsageError
from ktrace.expect import schema
from ktrace.expect.search import wait_for_verdicts
from ktrace.jaeger import Jaeger, JaegerError
from ktrace.target import options, target
from ktrace.view import junit, terminal, verdicts


def assert_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Expectations as YAML.")],
    *,
    values: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="NAME=VALUE", help="Value for ${NAME} in the file; repeatable."
        ),
    ] = None,
    junit_file: Annotated[
        Path | None, typer.Option("--junit", metavar="FILE", help="Write a JUnit report.")
    ] = None,
    stack: options.StackOption = None,
    jaeger_url: options.JaegerOption = None,
    as_json: options.JsonOption = False,
    timeout: options.TimeoutOption = 15,
) -> None:
    """Do the traces show what they must? A failed expectation is shown with the nearest spans.

    Expectations are judged again until all are met twice in a row, or the time is up.

    FILE is a map: sinceSeconds (600) and expectations, each with a name, a select of component,
    operation, pod (namespace/name, for kubelet and containerd) and attributes, and an expect of
    count (a number, or min and max; default: at least one), child (component, operation),
    durationBelowMs and noErrors. Operations and attributes may contain * and ?. A select that
    needs more than 10,000 traces fails.

    Examples:

      ktrace assert ktrace/expect/builtin/pod-start.yaml --set POD=default/web-0

      ktrace assert ktrace/expect/builtin/control-plane.yaml --junit report.xml

    Exit codes: 0 all are met, 1 one is not met, 2 a broken file, wrong usage, no stack, or Jaeger
    cannot be reached.
    """
    expected = schema.load(file, dict(_pair(text) for text in values or ()))
    chosen = target.choose(stack, jaeger_url, None)
    begin = time.monotonic()
    awaited = terminal.counted(len(expected.expectations), "expectation")
    try:
        with (
            Jaeger(chosen.jaeger) as jaeger,
            terminal.waiting(f"waiting up to {timeout:g} s for {awaited} to be met"),
        ):
            found = wait_for_verdicts(jaeger, expected, timeout)
    except JaegerError as error:
        raise UsageError(str(error)) from None
    if junit_file:
        try:
            junit_file.write_text(junit.render(file.stem, found, time.monotonic() - begin))
        except OSError as error:
            raise UsageError(f"{junit_file} cannot be written: {error.strerror}") from None
    if as_json:
        terminal.print_json(verdicts.document(found))
    else:
        console = terminal.console()
        for line in verdicts.lines(found):
            console.print(line)
    if not all(verdict.ok for verdict in found):
        raise typer.Exit(FINDING)


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise UsageError(f"--set {text!r} is not NAME=VALUE")
    return name, value
