"""``ktrace top``: who asks the API server for what, how often, and how long does it take?"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import replace
from enum import StrEnum
from math import ceil
from typing import TYPE_CHECKING, Annotated

import typer

from ktrace.errors import UsageError
from ktrace.jaeger import JaegerError
from ktrace.target import options, target

if TYPE_CHECKING:
    from ktrace.activity.look import Activity
    from ktrace.activity.named_object import NamedObject
    from ktrace.activity.rows import Row
    from ktrace.activity.window import Window

_PAUSE_SECONDS = 2.0
_SECOND = 1_000_000
_OTHER_LINES = 5
"""Of a terminal, besides rows: the period, which may take two, headings, and what is below."""
_MOST_ROWS = 40
"""On a terminal: a pipe gets all."""
_WIDTH_WITH_LINKS = 180
"""Columns of a terminal on which the page of each row's slowest trace has room."""


class By(StrEnum):
    CLIENT = "client"
    RESOURCE = "resource"
    OBJECT = "object"
    WEBHOOK = "webhook"
    NODE = "node"


def top(
    of: Annotated[
        str,
        typer.Argument(
            metavar="OBJECT",
            help="With --by object: list who writes it. deploy/NAME, or "
            "deployments.apps/NAMESPACE/NAME as a row names it.",
        ),
    ] = "",
    *,
    namespace: options.NamespaceOption = "default",
    by: Annotated[By, typer.Option("--by", help="What a row is.")] = By.CLIENT,
    since: Annotated[
        str, typer.Option("--since", metavar="TIME", help="How far to look back: 30s, 10m, 2h.")
    ] = "10m",
    watch: Annotated[
        bool, typer.Option("--watch", help="Refresh in place, until Ctrl-C; on a terminal.")
    ] = False,
    stack: options.TracesOption = None,
    jaeger_url: options.JaegerOption = None,
    save_to: options.SaveOption = None,
    answer_from: options.FromOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Who asks the API server for what? Counts requests, with their times, errors and shares.

    Watches and lists of collections are rows of their own. A 99th percentile needs 100 requests.
    --by webhook counts the calls of admission webhooks, --by node the requests of kubelets.

    Examples:

      ktrace top

      ktrace top --by resource --since 2m

      ktrace top --by webhook --watch

      ktrace top --by object deploy/web -n shop

    Exit codes: 0 told, 2 wrong usage or no stack, 3 Jaeger cannot be reached.
    """
    from ktrace.activity.look import Activity
    from ktrace.activity.named_object import NamedObject
    from ktrace.target import losses
    from ktrace.view import activity, terminal
    from runtime_observability.core.durations import milliseconds

    asked = milliseconds(since)
    if not asked:
        raise UsageError(f"--since {since!r} is not a time: write 30s, 10m or 2h")
    if of and by is not By.OBJECT:
        raise UsageError(f"{of!r} needs --by object: only that lists the writers of one object")
    wanted = NamedObject.of(of, namespace) if of else None
    if of and wanted is None:
        raise UsageError(f"{of!r} is not an object: write deploy/NAME or RESOURCE/NAMESPACE/NAME")
    if watch and (as_json or not sys.stdout.isatty()):
        raise UsageError("--watch refreshes in place: it needs a terminal, and no --json")
    if watch and (save_to or answer_from):
        raise UsageError("--watch goes on until Ctrl-C: leave it out with --save and --from")
    chosen = target.choose(stack, jaeger_url, None)
    with chosen.connect() as jaeger:
        looks = Activity(jaeger, asked * 1000)
        heading = "writer" if wanted else by.value

        def counted() -> tuple[list[Row], Window]:
            made, window = _counted(looks, by, wanted)
            lost = losses.of_what_began(chosen, stack, window.asked / _SECOND)
            notes = (window.lost, chosen.left_out, lost)
            return made, replace(window, lost="; ".join(filter(None, notes)))

        if watch:
            _watch(counted, heading, jaeger.url)
            return
        with terminal.waiting(f"reading the last {since} from {jaeger.url}"):
            made, window = counted()
        if as_json:
            terminal.print_json(activity.document(made, window, by.value, of, jaeger.url))
        else:
            width = terminal.columns()
            links = width is None or width >= _WIDTH_WITH_LINKS
            shown = made if width is None else made[:_MOST_ROWS]
            terminal.show(
                *activity.parts(shown, window, heading, jaeger.url, links=links, width=width)
            )
            if more := len(made) - len(shown):
                terminal.show(f"… {terminal.counted(more, 'more row')}: see --json")
            terminal.show(*(() if links else activity.pages(shown, jaeger.url)))


def _counted(looks: Activity, by: By, wanted: NamedObject | None) -> tuple[list[Row], Window]:
    from ktrace.activity.rows import rows

    found, window = looks.look()
    if wanted:
        if not any(wanted.is_of(request.resource) for request in found):
            unknown = (
                f"no request is about a resource {wanted.resources[0]}: requests name it as "
                "`kubectl api-resources` does"
            )
            window = replace(window, lost=unknown)
        writes = (request for request in found if request.writes and wanted.is_at(request.object))
        found = [replace(request, object=request.client) for request in writes]
    return rows(found, by.value, window.seconds), window


def _watch(look: Callable[[], tuple[list[Row], Window]], heading: str, url: str) -> None:
    """Until Ctrl-C; what it showed last stays."""
    from rich.console import Group
    from rich.live import Live

    from ktrace.view import activity, terminal
    from ktrace.view.lines import Line

    console = terminal.console()
    try:
        rows, window = look()
        with Live(console=console, auto_refresh=False) as live:
            problem = ""
            while True:
                links = console.width >= _WIDTH_WITH_LINKS
                others = _OTHER_LINES + ceil(len(window.lost) / console.width)
                fitting = rows[: max(1, console.height - others)]
                parts = activity.parts(
                    fitting,
                    window,
                    heading,
                    url,
                    links=links,
                    width=console.width,
                    fold=False,
                )
                more = len(rows) - len(fitting)
                ends = f"{terminal.counted(more, 'more row')}; " if more else ""
                line = Line(problem or f"{ends}Ctrl-C ends it")
                live.update(Group(*parts, line), refresh=True)
                time.sleep(_PAUSE_SECONDS)
                try:
                    rows, window = look()
                    problem = ""
                except JaegerError as error:
                    problem = f"{error}; trying again"
    except KeyboardInterrupt:
        return
