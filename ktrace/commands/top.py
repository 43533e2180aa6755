"""``ktrace top``: who asks the API server for what, how often, and how long does it take?"""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from typing import Annotated

import typer

from ktrace.errors import UsageError
from ktrace.target import options, target

_MOST = 20_000
"""Traces that are read."""


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
            metavar="[OBJECT]",
            help="With --by object: list who writes it. deploy/NAME, or "
            "deployments.apps/NAMESPACE/NAME as a row names it.",
        ),
    ] = "",
    *,
    namespace: Annotated[
        str, typer.Option("--namespace", "-n", metavar="NS", help="The object's namespace.")
    ] = "default",
    by: Annotated[By, typer.Option("--by", help="What a row is.")] = By.CLIENT,
    since: Annotated[
        str, typer.Option("--since", metavar="TIME", help="How far to look back: 30s, 10m.")
    ] = "10m",
    stack: options.TracesOption = None,
    jaeger_url: options.JaegerOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Who asks the API server for what? Counts requests, with their times, errors and shares.

    Watches and lists of collections are rows of their own. A 99th percentile needs 100 requests.
    --by webhook counts the calls of admission webhooks, --by node the requests of kubelets.

    Examples:

      ktrace top

      ktrace top --by resource --since 2m

      ktrace top --by object deploy/web -n shop

    Exit codes: 0 told, 2 wrong usage or no stack, 3 Jaeger cannot be reached.
    """
    from ktrace.activity.named_object import NamedObject
    from ktrace.activity.requests import requests_in
    from ktrace.activity.rows import rows
    from ktrace.activity.window import Window
    from ktrace.components import APISERVER
    from ktrace.jaeger.client import now
    from ktrace.view import activity, terminal
    from runtime_observability.core.presets import milliseconds

    asked = milliseconds(since)
    if asked is None:
        raise UsageError(f"--since {since!r} is not a time: write 30s, 10m or 500ms")
    if of and by is not By.OBJECT:
        raise UsageError(f"{of!r} needs --by object: only that lists the writers of one object")
    wanted = NamedObject.of(of, namespace) if of else None
    if of and wanted is None:
        raise UsageError(f"{of!r} is not an object: write deploy/NAME or RESOURCE/NAMESPACE/NAME")
    chosen = target.choose(stack, jaeger_url, None)
    with chosen.connect() as jaeger:
        until = now()
        begin = until - asked * 1000
        traces, complete = jaeger.find_all(APISERVER, start=begin, end=until, most=_MOST)
        found = [r for r in requests_in(traces) if begin <= r.start <= until]
        window = Window.seen(found, begin, until, complete=complete)
        if wanted:
            writes = (r for r in found if r.writes and wanted.is_at(r.object))
            found = [replace(r, object=r.client) for r in writes]
        heading = "writer" if wanted else by.value
        made = rows(found, by.value, window.seconds)
        if as_json:
            terminal.print_json(activity.document(made, window, by.value, of, jaeger.url))
        else:
            for part in activity.parts(made, window, heading, jaeger.url):
                terminal.console().print(part)
