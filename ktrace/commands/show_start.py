"""``ktrace show pod/NAME``: why was it slow to start?"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from ktrace.commands import nothing_known, output_file
from ktrace.errors import FINDING
from ktrace.view import terminal

if TYPE_CHECKING:
    from ktrace.podstart.model import PodStart
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
    """``stack`` is --stack's value; exits with 1 unless every container has started."""
    from ktrace.podstart import in_progress, search
    from ktrace.target import losses
    from ktrace.view import start as start_view

    with chosen.connect() as jaeger:
        activity = f"waiting up to {timeout:g} s for the start of pod {namespace}/{name}"
        with terminal.waiting(activity):
            start = search.wait_for_start(
                jaeger,
                namespace,
                name,
                timeout,
                chosen.kubeconfig,
                in_progress=True,
                runtime_traced=chosen.traces_runtime,
            )
        memory = losses.memory_of(chosen, stack)
        if start is None:
            pod = f"{namespace}/{name}"
            raise nothing_known.error(
                jaeger, "start of pod", pod, timeout, memory, left_out=chosen.left_out
            )
        lost = losses.missing(
            memory, start.started_at, unseen=start.beginning_lost, gaps=start.lacks_spans
        )
        if not lost and start.beginning_lost:
            dropped = losses.dropped(jaeger, memory, start.started_at)
            lost = (f"what came before: {dropped}",) if dropped else ()
        start = replace(start, missing=(*start.missing, *lost))
        if chosen.left_out and (start.lacks_spans or start.beginning_lost):
            start = replace(start, missing=(*start.missing, f"other traces: {chosen.left_out}"))
        start, url = in_progress.until_observed(start), jaeger.url
    if html:
        from ktrace.view import page

        output_file.write(html, page.render(start, url))
    if as_json:
        terminal.print_json(start_view.document(start, url))
    else:
        _print(start, url)
        if html:
            terminal.show(f"page: {html}")
    if not start.complete:
        raise typer.Exit(FINDING)


def _print(start: PodStart, jaeger_url: str) -> None:
    from ktrace.view import waterfall

    has_steps = start.steps or start.ready.steps
    table = waterfall.table(start, terminal.console().width) if has_steps else None
    urls = start.trace_urls(jaeger_url)
    terminal.print_answer(waterfall.title(start), table, waterfall.summary(start), urls)
