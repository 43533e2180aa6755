"""``ktrace open``: ready-made searches on Jaeger's page."""

from __future__ import annotations

import os
import sys
import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from ktrace import streams
from ktrace.addresses import without_login
from ktrace.document import versioned
from ktrace.errors import FINDING, UsageError
from ktrace.target import options, target
from ktrace.target.target import Target
from ktrace.text import clean
from ktrace.view import terminal
from runtime_observability.core import links


def open_(
    name: Annotated[
        str | None, typer.Argument(metavar="SEARCH", help="Name of one search. Default: all.")
    ] = None,
    *,
    bundle: Annotated[
        Path | None,
        typer.Option(
            "--from", metavar="FILE", help="Send a bundle's traces to the stack's Jaeger."
        ),
    ] = None,
    stack: options.TracesOption = None,
    jaeger_url: options.JaegerOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Where do I look? Searches over the last hour: pod starts, slow requests, errors, …

    All are printed; a named one is also opened in the browser if there is a desktop.

    Examples:

      ktrace open

      ktrace open podStarts

      ktrace open --from start.json

    Exit codes: 0 printed, 1 Jaeger does not have all traces of the bundle after 10 s, 2 wrong
    usage, a broken bundle or no stack, 3 Jaeger or the collector cannot be reached.
    """
    if bundle:
        _show_bundle(bundle, name, stack, jaeger_url, as_json=as_json)
        return
    found = searches(target.choose(stack, jaeger_url, None))
    if name:
        if name not in found:
            raise UsageError(f"there is no search {name!r}: choose one of {', '.join(found)}")
        found = {name: found[name]}
        if has_desktop():
            webbrowser.open(found[name])
    if as_json:
        terminal.print_json(versioned(found))
        return
    width = max(map(len, found))
    for search, url in found.items():
        print(f"{search:<{width}}  {url}")


def _show_bundle(
    path: Path, name: str | None, stack: str | None, jaeger_url: str | None, *, as_json: bool
) -> None:
    """Sends what is not there yet, and prints the page of each trace."""
    from ktrace.bundle import file, sending

    if name:
        raise UsageError(f"{name!r} and --from: leave out one of them")
    bundle = file.read(path)
    chosen = target.choose(stack, jaeger_url, None)
    if not chosen.collector:
        raise UsageError(
            "no collector is known that takes the bundle's spans: name a stack with --stack NAME"
        )
    with (
        chosen.connect() as jaeger,
        terminal.waiting(f"sending {clean(str(path))} to {chosen.collector}"),
    ):
        traces = sending.send(bundle, jaeger, chosen.collector)
    if as_json:
        terminal.print_json(versioned({"traces": [trace.document() for trace in traces]}))
    else:
        for trace in traces:
            print(trace)
    if old := sum(trace.there and not trace.has_page for trace in traces):
        streams.tell(
            f"Jaeger has {terminal.counted(old, 'trace')} of them, and its page does not show what "
            "is older than max_span_age in its configuration (72 h by default): raise that, or use "
            "its search"
        )
    absent = sum(not trace.there for trace in traces)
    if absent:
        streams.tell(
            f"Jaeger does not have {terminal.counted(absent, 'trace')} of them (yet, or a sampler "
            "dropped them)"
        )
        raise typer.Exit(FINDING)


def searches(chosen: Target) -> dict[str, str]:
    """URLs by name: a stack's own links, or all links for another Jaeger; and the webhooks'.

    In a Jaeger of many stacks they are searches for one stack's spans, if that is known.
    """
    tags = chosen.stack.tags if chosen.stack and chosen.is_shared else {}
    stack_links = None if chosen.is_shared else chosen.outputs.get("links")
    url = without_login(chosen.jaeger)
    webhooks = {
        name: links.search(url, "apiserver", f"Call {kind} webhook", tags)
        for name, kind in (("mutatingWebhooks", "mutating"), ("validatingWebhooks", "validating"))
    }
    return (stack_links or links.all_links(url, containerd=True, tags=tags)) | webhooks


def has_desktop() -> bool:
    if not sys.stdout.isatty():
        return False
    return sys.platform == "darwin" or any(
        os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY")
    )
