"""``ktrace assert``: expectations on traces, for CI."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from ktrace import streams
from ktrace.commands import output_file
from ktrace.errors import FINDING, UsageError
from ktrace.jaeger import JaegerError
from ktrace.target import options, target
from ktrace.view import terminal


def assert_(
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE",
            help="Expectations as YAML: a file, or the name of shipped ones.",
            show_default=False,
        ),
    ] = "",
    *,
    values: options.ValuesOption = None,
    junit_file: Annotated[
        Path | None, typer.Option("--junit", metavar="FILE", help="Write a JUnit report.")
    ] = None,
    stack: options.TracesOption = None,
    jaeger_url: options.JaegerOption = None,
    save_to: options.SaveOption = None,
    answer_from: options.FromOption = None,
    as_json: options.JsonOption = False,
    timeout: options.TimeoutOption = 15,
) -> None:
    """Do the traces show what they must? A failed expectation is shown with the nearest spans.

    FILE is a path, or pod-start or control-plane: expectations that come with ktrace.

    It is a map: sinceSeconds (600) and expectations, each with a name, a select of component,
    operation, pod (namespace/name, for kubelet and containerd) and attributes (of the span or of
    its process, such as k8s.node.name), and an expect of count (a number, or min and max; default:
    at least one), child (component, operation), durationBelowMs and noErrors. In operations and
    attributes * is any text, ? one character, and every other character itself.

    In place of select an expectation may have request (verb, resource, namespace, name, client;
    verb write is any that changes an object) or webhook (CONFIGURATION/WEBHOOK), each with
    patterns. Of a request a status may be expected, of a webhook failedOpen. What one command
    caused, its pods too, and quietFor are judged by ktrace run --assert.

    Expectations are judged again until all are met twice in a row, or the time is up. One that
    later spans could break is met only once spans of its components have arrived that began after
    the assertion. What Jaeger may have had and lost since is not known: of a stack, where it keeps
    traces in memory and has restarted, or dropped its oldest. A select that needs more than 10,000
    traces fails.

    Examples:

      ktrace assert pod-start --set POD=default/web-0

      ktrace assert control-plane --junit report.xml

    Exit codes: 0 all are met, 1 one is not met or cannot be judged, 2 a broken file, wrong usage
    or no stack, 3 Jaeger cannot be reached.
    """
    from ktrace.expect import schema, shipped
    from ktrace.expect.search import wait_for_verdicts
    from ktrace.target import absence, losses
    from ktrace.view import junit, verdicts

    if not file:
        raise UsageError("no expectations are named: write ktrace assert FILE")
    if junit_file:
        output_file.refuse_unwritable(junit_file)
    path = shipped.find(file)
    expected = schema.load(path, options.values_of(values or ()))
    chosen = target.choose(stack, jaeger_url, None)
    begin = time.monotonic()
    awaited = terminal.counted(len(expected.expectations), "expectation")
    try:
        with (
            chosen.connect() as jaeger,
            terminal.waiting(f"waiting up to {timeout:g} s for {awaited} to be met"),
        ):
            memory = partial(losses.memory_of, chosen, stack)
            found = wait_for_verdicts(jaeger, expected, timeout, memory)
            all_met = all(verdict.ok for verdict in found)
            absent = "" if all_met else absence.of_stack(jaeger) or chosen.left_out
    except JaegerError as error:
        if junit_file:
            names = [expectation.name for expectation in expected.expectations]
            seconds = time.monotonic() - begin
            output_file.write(junit_file, junit.render_error(path.stem, names, str(error), seconds))
        raise
    if junit_file:
        output_file.write(junit_file, junit.render(path.stem, found, time.monotonic() - begin))
    if as_json:
        terminal.print_json(verdicts.document(found))
    else:
        terminal.show(*verdicts.lines(found))
    if absent:
        streams.tell(absent)
    if not all_met:
        raise typer.Exit(FINDING)
