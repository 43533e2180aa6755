"""``ktrace show pod/NAME --ending``: why does it terminate slowly?"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import typer

from ktrace.commands import nothing_known, output_file
from ktrace.errors import FINDING
from ktrace.view import terminal

if TYPE_CHECKING:
    from pathlib import Path

    from ktrace.podend.model import PodEnding
    from ktrace.target.target import Target


def show(
    chosen: Target,
    stack: str | None,
    namespace: str,
    name: str,
    *,
    html: Path | None,
    timeout: float,
    as_json: bool,
) -> None:
    """``stack`` is --stack's value; exits with 1 unless the pod has ended."""
    from ktrace.podend import search, waits
    from ktrace.target import losses
    from ktrace.view import ending as ending_view

    with chosen.connect() as jaeger:
        activity = f"waiting up to {timeout:g} s for the end of pod {namespace}/{name}"
        with terminal.waiting(activity):
            ending = search.wait_for_ending(
                jaeger,
                namespace,
                name,
                timeout,
                chosen.kubeconfig,
                runtime_traced=chosen.traces_runtime,
            )
        memory = losses.memory_of(chosen, stack)
        url = jaeger.url
        if ending is None:
            pod = f"{namespace}/{name}"
            raise nothing_known.error(
                jaeger, "end of pod", pod, timeout, memory, left_out=chosen.left_out
            )
    lost = losses.missing(memory, ending.begun, unseen=not ending.asked, gaps=ending.lacks_spans)
    ending = replace(ending, missing=(*ending.missing, *lost))
    if chosen.left_out and ending.missing:
        ending = replace(ending, missing=(*ending.missing, f"other traces: {chosen.left_out}"))
    ending = waits.until_observed(ending)
    if html:
        from ktrace.view import ending_page

        output_file.write(html, ending_page.render(ending, url))
    if as_json:
        terminal.print_json(ending_view.document(ending, url))
    else:
        _print(ending, url)
        if html:
            terminal.show(f"page: {html}")
    if not ending.ended:
        raise typer.Exit(FINDING)


def _print(ending: PodEnding, jaeger_url: str) -> None:
    from ktrace.view import ending as view
    from ktrace.view import waterfall

    columns = terminal.console().width
    table = waterfall.table_of(ending.steps, ending.length_ms, columns) if ending.steps else None
    terminal.print_answer(
        view.title(ending), table, view.summary(ending), ending.trace_urls(jaeger_url)
    )
