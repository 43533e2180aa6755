"""``ktrace show deploy/NAME``: is the whole rollout ready, and which pod held it up?"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from ktrace.commands import output_file
from ktrace.errors import FINDING, UsageError
from ktrace.rollout.kinds import KINDS, PODS, named
from ktrace.target import losses
from ktrace.view import terminal

if TYPE_CHECKING:
    from ktrace.rollout.cluster import Selection
    from ktrace.rollout.model import Rollout
    from ktrace.target.target import Target
    from runtime_observability.host.memory_loss import Memory


def wanted(
    argument: str, namespace: str, selector: str, *, all_namespaces: bool
) -> Selection | None:
    """What is asked for; None if that is the start of one pod. UsageError for anything else."""
    word, slash, name = argument.partition("/")
    many = bool(selector or all_namespaces)
    kind = named(word) if slash or (many and argument) else PODS
    if kind is None or "/" in name or (slash and not name):
        known = ", ".join(f"{known.names[0]}/NAME" for known in KINDS)
        raise UsageError(f"{argument!r} is not a pod or a workload: write pod/NAME, NAME, {known}")
    if not argument and not many:
        raise UsageError(
            "nothing is named: write pod/NAME or deploy/NAME, or choose with -l SELECTOR or -A"
        )
    if many and slash:
        raise UsageError(f"{argument} is one object: leave out -l and -A, or its name")
    if kind is PODS and not many:
        return None
    from ktrace.rollout.cluster import Selection

    if many:
        return Selection(kind, "" if all_namespaces else namespace, selector=selector)
    return Selection(kind, namespace, name)


def show(
    chosen: Target,
    stack: str | None,
    asked: Selection,
    *,
    html: Path | None,
    timeout: float,
    as_json: bool,
) -> None:
    """``stack`` is --stack's value; exits with 1 unless every wanted pod is Ready."""
    from ktrace.podstart import cluster
    from ktrace.rollout import verdict
    from ktrace.rollout.look import Look

    with chosen.connect() as jaeger, cluster.connected(chosen.kubeconfig) as api:
        with terminal.waiting(f"waiting up to {timeout:g} s for the spans of {asked.told}"):
            look = Look(jaeger, api, asked, runtime_traced=chosen.traces_runtime)
            rollouts = look.wait(timeout)
        url = jaeger.url
        if told := chosen.left_out:
            rollouts = [
                replace(found, missing=(*found.missing, f"other traces: {told}"))
                if any(pod.start is None or pod.start.lacks_spans for pod in found.pods)
                else found
                for found in rollouts
            ]
        if memory := losses.memory_of(chosen, stack):
            rollouts = [_with_losses(found, memory) for found in rollouts]
    if html:
        from ktrace.view import rollout_page

        output_file.write(html, rollout_page.render(rollouts, url))
    if as_json:
        from ktrace.view import rollout_json

        terminal.print_json(rollout_json.document(rollouts, url))
    else:
        _print(rollouts, url)
        if html:
            terminal.show(f"page: {html}")
    if not all(verdict.of(found).ok for found in rollouts):
        raise typer.Exit(FINDING)


def _with_losses(found: Rollout, memory: Memory) -> Rollout:
    gaps = any(pod.start is None or pod.start.lacks_spans for pod in found.pods)
    lost = losses.missing(memory, found.begun, unseen=found.write is None, gaps=gaps)
    return replace(found, missing=(*found.missing, *lost))


def _print(rollouts: Sequence[Rollout], url: str) -> None:
    from ktrace.view import rollout as view

    columns = terminal.console().width
    most = view.MOST if sys.stdout.isatty() else None
    for number, found in enumerate(rollouts):
        if number:
            terminal.show("")
        terminal.show(view.title(found), style="bold")
        terminal.show(*view.parts(found, columns, most), *terminal.few(view.trace_urls(found, url)))
