"""``ktrace watch``: which pods start now, and how long do they take?"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Annotated

import typer

from ktrace import streams
from ktrace.errors import UsageError
from ktrace.jaeger import JaegerError
from ktrace.target import options, target

if TYPE_CHECKING:
    from ktrace.podstart.watch import Watch

_PAUSE_SECONDS = 1.5
"""Longer than an exporter's delay: a start that is the same twice is all there."""


def _finite(seconds: float | None) -> float | None:
    return None if seconds is None else options.finite(seconds)


def watch(
    *,
    slower_than: Annotated[
        str | None,
        typer.Option(
            "--slower-than", metavar="TIME", help="Leave out quicker starts: 2s, 500ms, 1m."
        ),
    ] = None,
    for_seconds: Annotated[
        float | None,
        typer.Option(
            "--for",
            metavar="SECONDS",
            min=0,
            callback=_finite,
            help="End after so long.",
            show_default="Ctrl-C",
        ),
    ] = None,
    stack: options.TracesOption = None,
    jaeger_url: options.JaegerOption = None,
    kubeconfig: options.KubeconfigOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Which pods start now? A line for each start as it completes, with its slowest step.

    Told are the starts that begin while this runs, a few seconds after their ends. --json prints
    one JSON document a line.

    Examples:

      ktrace watch

      ktrace watch --slower-than 2s

      ktrace watch --for 60 --json | jq -r '[.pod, .durationMs] | @tsv'

    Exit codes: 0 Ctrl-C or the end of --for, 2 wrong usage or no stack, 3 Jaeger cannot be reached.
    """
    from ktrace.podstart import cluster
    from ktrace.podstart.watch import Watch
    from ktrace.target import losses
    from runtime_observability.core.durations import milliseconds

    least = milliseconds(slower_than) if slower_than else 0
    if least is None:
        raise UsageError(f"--slower-than {slower_than!r} is not a time: write 2s, 500ms or 1m")
    chosen = target.choose(stack, jaeger_url, kubeconfig)
    with chosen.connect() as jaeger, cluster.connected(chosen.kubeconfig) as api:
        began = time.time()
        watching = Watch(jaeger, api, began, runtime_traced=chosen.traces_runtime)
        jaeger.services()  # fails at once if Jaeger cannot be reached
        streams.tell(f"waiting for pods to start, in {jaeger.url}; Ctrl-C ends it")
        told = ""
        try:
            while for_seconds is None or time.time() - began < for_seconds:
                time.sleep(_PAUSE_SECONDS + jaeger.store.late)
                problem = _look(watching, jaeger.url, least, as_json=as_json)
                if problem and problem != told:
                    streams.tell(problem)
                if told and not problem and (lost := losses.of_what_began(chosen, stack, began)):
                    streams.tell(lost)  # a Jaeger that answers again may have been restarted
                told = problem
        except KeyboardInterrupt:
            return


def _look(watching: Watch, url: str, least_ms: float, *, as_json: bool) -> str:
    """Prints what has completed; returns what was in the way."""
    from ktrace.view import terminal, watched

    try:
        starts = watching.look()
    except JaegerError as error:
        return f"{error}; trying again"
    columns = terminal.columns()
    for start in starts:
        if not start.length_known or start.duration_ms >= least_ms:
            document = watched.document(start, url)
            print(json.dumps(document) if as_json else watched.line(start, columns), flush=True)
    return watching.limit
