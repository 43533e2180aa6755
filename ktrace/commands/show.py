"""``ktrace show``: why was my pod slow?"""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Annotated

import typer

from ktrace.errors import KtraceError, UsageError
from ktrace.jaeger import Jaeger
from ktrace.podstart.search import wait_for_start
from ktrace.target import options, target
from ktrace.view import page, terminal, waterfall


def show(
    pod: Annotated[str, typer.Argument(metavar="pod/NAME", help="The pod; it may be gone again.")],
    *,
    namespace: Annotated[
        str, typer.Option("--namespace", "-n", metavar="NS", help="The pod's namespace.")
    ] = "default",
    html: Annotated[
        Path | None,
        typer.Option("--html", metavar="FILE", help="Write one self-contained page."),
    ] = None,
    stack: options.StackOption = None,
    jaeger_url: options.JaegerOption = None,
    as_json: options.JsonOption = False,
    timeout: options.TimeoutOption = 15,
) -> None:
    """Why was my pod slow? Its start as a waterfall, from the request to the last container.

    Steps marked * are those the start waited for. Only Jaeger is asked, so a pod that is gone
    can be shown too; of several pods of one name it is the newest.

    Examples:

      ktrace show pod/web-0 -n shop

      ktrace show web-0 --html start.html

      ktrace show web-0 --json | jq '.steps[] | select(.critical)'

    Exit codes: 0 shown, 1 Jaeger has no start of that pod, 2 wrong usage or no stack, 3 Jaeger
    cannot be asked.
    """
    kind, _, rest = pod.rpartition("/")
    if kind not in ("", "pod", "pods") or not rest:
        raise UsageError(f"{pod!r} is not a pod: write pod/NAME or NAME")
    chosen = target.choose(stack, jaeger_url, None)
    with Jaeger(chosen.jaeger) as jaeger:
        with terminal.waiting(
            f"waiting up to {timeout:g} s for the start of pod {namespace}/{rest}"
        ):
            start = wait_for_start(jaeger, namespace, rest, timeout)
        if start is None:
            raise KtraceError(_nothing(jaeger, namespace, rest, timeout))
        url = jaeger.url
    if html:
        try:
            html.write_text(page.render(start, url), encoding="utf-8")
        except OSError as error:
            raise UsageError(f"{html} cannot be written: {error.strerror}") from None
    if as_json:
        terminal.print_json(start.document(url))
        return
    console = terminal.console()
    console.print(waterfall.title(start), style="bold", markup=False)
    console.print(waterfall.table(start, console.width))
    for line in waterfall.summary(start):
        console.print(line, markup=False)
    for each in start.trace_ids:
        console.print(f"{url}/trace/{each}", markup=False)
    if html:
        console.print(f"page: {html}", markup=False)


def _nothing(jaeger: Jaeger, namespace: str, pod: str, seconds: float) -> str:
    recent = jaeger.find("kubelet", "syncPod", limit=200)
    known = {
        str(span.tags["k8s.pod"])
        for trace in recent
        for span in trace.spans
        if "k8s.pod" in span.tags
    }
    near = difflib.get_close_matches(f"{namespace}/{pod}", sorted(known), n=3)
    hint = f"; near are {', '.join(near)}" if near else ""
    if not known:
        hint = "; it has no pod's start at all: `ktrace verify` says why"
    return f"Jaeger has no start of pod {namespace}/{pod} (waited {seconds:g} s){hint}"
