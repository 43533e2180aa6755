"""``ktrace watch``: which pods start now, and how long do they take?"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ktrace import streams
from ktrace.bundle import session
from ktrace.document import versioned
from ktrace.errors import UsageError
from ktrace.jaeger import JaegerError
from ktrace.target import options, target

if TYPE_CHECKING:
    from ktrace.podstart.model import PodStart
    from ktrace.target.target import Target

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
    save_to: options.SaveOption = None,
    answer_from: options.FromOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Which pods start now? A line for each start as it completes, with its slowest step.

    Told are the starts that begin while this runs, a few seconds after their ends. --json prints
    one JSON document a line. --save writes all of them when it ends, the quicker ones too: with
    --from another --slower-than may be asked for.

    Examples:

      ktrace watch

      ktrace watch --slower-than 2s

      ktrace watch --for 60 --json | jq -r '[.pod, .durationMs] | @tsv'

      ktrace watch --for 600 --save starts.json.gz

    Exit codes: 0 Ctrl-C or the end of --for, 2 wrong usage or no stack, 3 Jaeger cannot be reached.
    """
    from ktrace.bundle import watched
    from ktrace.podstart import cluster
    from ktrace.podstart.watch import Watch
    from ktrace.target import losses
    from runtime_observability.core.durations import milliseconds

    least = milliseconds(slower_than) if slower_than else 0
    if least is None:
        raise UsageError(f"--slower-than {slower_than!r} is not a time: write 2s, 500ms or 1m")
    chosen = target.choose(stack, jaeger_url, kubeconfig)
    if (facts := session.current().facts("watch")) is not None:
        _tell_again(facts, chosen, least, as_json=as_json)
        return
    told: list[dict[str, Any]] = []
    notes: list[str] = []

    def tell(starts: Sequence[PodStart], url: str) -> None:
        if save_to:
            told.extend(map(watched.told, starts))
        _print(_slower(starts, least), url, as_json=as_json)

    def note(text: str) -> None:
        notes.append(text)
        streams.tell(text)

    with chosen.connect() as jaeger, cluster.connected(chosen.kubeconfig) as api:
        began, ends = time.time(), time.monotonic() + (for_seconds or 0)
        watching = Watch(jaeger, api, began, runtime_traced=chosen.traces_runtime)
        jaeger.services()  # fails at once if Jaeger cannot be reached
        streams.tell(f"waiting for pods to start, in {jaeger.url}; Ctrl-C ends it")
        problem = ""
        try:
            while for_seconds is None or time.monotonic() < ends:
                time.sleep(_PAUSE_SECONDS + jaeger.store.late)
                before, problem = problem, ""
                try:
                    tell(watching.look(), jaeger.url)
                    problem = watching.limit
                except JaegerError as error:
                    problem = f"{error}; trying again"
                if problem and problem != before:
                    note(problem)
                if before and not problem and (lost := losses.of_what_began(chosen, stack, began)):
                    note(lost)  # a Jaeger that answers again may have been restarted
        except KeyboardInterrupt:
            return
        finally:
            session.current().gathered(lambda _: {"starts": told, "notes": notes})


def _print(starts: Iterable[PodStart], url: str, *, as_json: bool) -> None:
    from ktrace.view import terminal, watched

    columns = terminal.columns()
    for start in starts:
        document = watched.document(start, url)
        print(json.dumps(document) if as_json else watched.line(start, columns), flush=True)


def _slower(starts: Iterable[PodStart], least_ms: float) -> list[PodStart]:
    """Those that took ``least_ms`` or longer, or of which that is not known."""
    return [start for start in starts if not start.length_known or start.duration_ms >= least_ms]


def _tell_again(
    facts: Mapping[str, Any], chosen: Target, least_ms: float, *, as_json: bool
) -> None:
    from ktrace.bundle import watched
    from ktrace.view.watched import document

    with chosen.connect() as jaeger:
        found = watched.watched(facts, jaeger, runtime_traced=chosen.traces_runtime)
        starts = _slower(found.starts, least_ms)
        _print(starts, jaeger.url, as_json=as_json)
    answer = {"starts": [document(start, jaeger.url) for start in starts], "notes": found.notes}
    session.current().answered(versioned(answer))
    for note in found.notes:
        streams.tell(note)
