"""``ktrace show``: why was my pod slow?"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ktrace import completion
from ktrace.commands import output_file
from ktrace.errors import FINDING, UsageError
from ktrace.target import options, target
from ktrace.view import terminal

if TYPE_CHECKING:
    from ktrace.podstart.model import PodStart


def show(
    pod: Annotated[
        str,
        typer.Argument(
            metavar="pod/NAME",
            autocompletion=completion.pods_and_workloads,
            help="The pod; it may already be deleted.",
        ),
    ],
    *,
    namespace: Annotated[
        str,
        typer.Option(
            "--namespace",
            "-n",
            metavar="NS",
            autocompletion=completion.namespaces,
            help="The pod's namespace.",
        ),
    ] = "default",
    ending: Annotated[
        bool, typer.Option("--ending", help="Show its end instead: why does it terminate slowly?")
    ] = False,
    html: Annotated[
        Path | None,
        typer.Option("--html", metavar="FILE", help="Write one self-contained page."),
    ] = None,
    stack: options.TracesOption = None,
    jaeger_url: options.JaegerOption = None,
    kubeconfig: options.KubeconfigOption = None,
    as_json: options.JsonOption = False,
    timeout: options.TimeoutOption = 15,
) -> None:
    """Why was my pod slow? Its start as a waterfall, from the request to Ready.

    The few steps that made the length are marked * with their share of it. Read are the spans in
    Jaeger, and the pod object with its Events where a cluster is known; what could not be read is
    named. A deleted pod can be shown as long as Jaeger has its traces; of several pods with the
    same name, the newest is shown. If they are of several stacks' clusters, --stack must name one.

    With --ending it is the pod's end: who asked for it, preStop, the container that did not end in
    its grace period, the sandbox, the volumes, and the finalizers that hold the object.

    Examples:

      ktrace show pod/web-0 -n shop

      ktrace show web-0 --html start.html

      ktrace show web-0 --json | jq '.steps[] | select(.critical)'

      ktrace show pod/web-0 --ending

    Exit codes: 0 every container has started (with --ending: it has ended), 1 that is not so or not
    known, or nothing is known of that pod, 2 wrong usage, no stack, or pods of several stacks, 3
    Jaeger cannot be reached.
    """
    kind, _, name = pod.rpartition("/")
    if kind not in ("", "pod", "pods") or not name:
        raise UsageError(f"{pod!r} is not a pod: write pod/NAME or NAME")
    if ending:
        if html:
            raise UsageError("--html shows a start: leave it out with --ending, or use --json")
        from ktrace.commands import show_ending

        chosen = target.choose(stack, jaeger_url, kubeconfig)
        show_ending.show(chosen, stack, namespace, name, timeout=timeout, as_json=as_json)
        return
    if html:
        output_file.refuse_unwritable(html)
    from ktrace.commands import nothing_known
    from ktrace.podstart import in_progress, search
    from ktrace.target import losses
    from ktrace.view import page
    from ktrace.view import start as start_view

    chosen = target.choose(stack, jaeger_url, kubeconfig)
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
            raise nothing_known.error(jaeger, "start of pod", pod, timeout, memory)
        if memory and memory.lacks(start.started_at, unseen=start.beginning_lost):
            start = replace(start, missing=(*start.missing, f"what came before: {memory}"))
        start, url = in_progress.until_observed(start), jaeger.url
    if html:
        output_file.write(html, page.render(start, url))
    if as_json:
        terminal.print_json(start_view.document(start, url))
    else:
        _print(start, url)
        if html:
            terminal.console().print(f"page: {html}", markup=False)
    if not start.complete:
        raise typer.Exit(FINDING)


def _print(start: PodStart, jaeger_url: str) -> None:
    from ktrace.view import waterfall

    console = terminal.console()
    console.print(waterfall.title(start), style="bold", markup=False)
    console.print(waterfall.table(start, console.width))
    for line in waterfall.summary(start):
        console.print(line, markup=False)
    for url in start.trace_urls(jaeger_url):
        # A terminal opens a link that it wraps itself.
        console.print(url, markup=False, soft_wrap=True)
