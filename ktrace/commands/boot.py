"""``ktrace boot``: what made `up` take its seconds?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from ktrace.bundle import session
from ktrace.errors import FINDING, UsageError
from ktrace.target import options, target
from ktrace.view import terminal

if TYPE_CHECKING:
    from ktrace.boot.model import Boot
    from ktrace.target.target import Target


def boot(
    *,
    stack: options.StackOption = None,
    save_to: options.SaveOption = None,
    answer_from: options.FromOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """What made `up` take its seconds? The cluster's own start as a timeline.

    Containers, API server, datastore, controllers, containerd, kubelet, nodes and the first pod: a
    line for each moment, with the source that tells it. The waits that made the length are marked
    *. Of a cluster that was started again it is that start, without its creation.

    Examples:

      ktrace boot

      ktrace boot --stack lab --json | jq '.lines[] | select(.critical)'

      ktrace boot --save boot.json.gz

    Exit codes: 0 every node is Ready, 1 one is not, or that is not known, 2 wrong usage or no
    stack, 3 Docker cannot be reached.
    """
    from ktrace.bundle import booted
    from ktrace.target.stack import OR_NO_STACK
    from ktrace.view import boot as view

    try:
        chosen = target.choose(stack, None, None)
    except UsageError as error:
        raise UsageError(str(error).removesuffix(OR_NO_STACK)) from None
    if (facts := session.current().facts("boot")) is not None:
        found = booted.boot(facts)
    else:
        found = _look(chosen, stack)
        session.current().gathered(lambda _: booted.facts(found))
    if as_json:
        terminal.print_json(view.document(found))
    else:
        terminal.show(view.title(found), style="bold")
        if found.lines:
            terminal.show(view.table(found, terminal.console().width))
        terminal.show(*view.summary(found))
    if not found.ready:
        raise typer.Exit(FINDING)


def _look(chosen: Target, stack: str | None) -> Boot:
    """``stack`` is the value of that option."""
    from ktrace.boot.look import look
    from ktrace.target import docker_daemon

    cluster = str(chosen.outputs.get("clusterName") or "")
    if not cluster:
        raise UsageError("the stack has no output clusterName: run `make up` with this release")
    docker_daemon.use_that_of(stack)
    with terminal.waiting(f"reading the boot of cluster {cluster}"):
        if chosen.has_no_jaeger:
            return look(cluster, stack, chosen.kubeconfig, "the stack keeps no traces")
        with chosen.connect() as jaeger:
            return look(cluster, stack, chosen.kubeconfig, jaeger)
