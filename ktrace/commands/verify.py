"""``ktrace verify``: is everything traced?"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import typer

from ktrace import streams
from ktrace.bundle import session
from ktrace.document import versioned
from ktrace.errors import FINDING
from ktrace.target import options, target
from ktrace.view import terminal

if TYPE_CHECKING:
    from ktrace.pipeline.verification import Verification
    from ktrace.target.target import Target


def verify(
    *,
    stack: options.TracesOption = None,
    jaeger_url: options.JaegerOption = None,
    kubeconfig: options.KubeconfigOption = None,
    save_to: options.SaveOption = None,
    answer_from: options.FromOption = None,
    as_json: options.JsonOption = False,
    timeout: options.TimeoutOption = 15,
) -> None:
    """Is everything traced, on every node? If not, which hop to Jaeger is broken?

    Every component must send a new span within the timeout. For a silent one the hops from its
    node to Jaeger are tried in order: the collector's name resolves, TCP 4317 opens, the collector
    accepts spans, its exporter delivers, Jaeger has them. A span from this machine is sent as well.
    Nothing is changed. Where `tracing` leaves traces out, components may be silent: then the
    collector must accept spans, and the span from this machine must arrive. Where several nodes run
    a component whose spans do not name their node, it is told that the node is not known. A Jaeger
    that has restarted and keeps traces in memory has lost those of before: that is told, and breaks
    nothing. So is what Docker had to restart, which may have lost spans: how often, why, and the
    cure; and why a stack's old indices in OpenSearch or Elasticsearch are not deleted.

    With `traceStore: none` and without `queryUrl` the collector's counters are judged: spans of
    every component must arrive there, and every destination must take what waits for it. What
    cannot be known without a Jaeger is told.

    Examples:

      ktrace verify

      ktrace verify --json | jq -r '.components[] | select(.brokenHop) | .brokenHop.cure'

      ktrace verify --jaeger http://127.0.0.1:16686 --kubeconfig ~/.kube/config

      ktrace verify --save verify.json.gz

    Exit codes: 0 everything is traced, 1 a hop is broken, 2 wrong usage or no stack, 3 the cluster
    cannot be reached.
    """
    from ktrace.bundle import verified as saved
    from ktrace.podstart import cluster
    from ktrace.target import losses
    from ktrace.view import coverage

    chosen = target.choose(stack, jaeger_url, kubeconfig)
    if (facts := session.current().facts("verify")) is not None:
        found, at, absent = saved.verification(facts)
    else:
        found, absent = _look(chosen, stack, timeout)
        at = time.time()

        def facts_of_it(_: session.Keep) -> dict[str, Any]:
            with cluster.connected(chosen.kubeconfig):  # which has the versions read
                return saved.facts(found, at, absent)

        session.current().gathered(facts_of_it)
    if memory := losses.memory_of(chosen, stack):
        found = replace(found, loss=memory.loss, crashes=memory.crashes)
    if as_json:
        terminal.print_json(versioned(coverage.document(found, at)))
    else:
        terminal.show(*coverage.lines(found, at))
    if absent:
        streams.tell(absent)
    if not found.ok:
        raise typer.Exit(FINDING)


def _look(chosen: Target, stack: str | None, timeout: float) -> tuple[Verification, str]:
    """What is found now, and what is told besides; ``stack`` is the value of that option."""
    from ktrace.pipeline import counted, verification
    from ktrace.pipeline.nodes import list_nodes
    from ktrace.target import absence, docker_daemon

    if chosen.outputs:
        docker_daemon.use_that_of(stack)
    begin = time.time()
    nodes = list_nodes(chosen.cluster, timeout)
    with terminal.waiting(f"waiting up to {timeout:g} s for a new span of every component"):
        if chosen.has_no_jaeger:
            return counted.verify(nodes, chosen.outputs, seconds=timeout), ""
        with chosen.connect(timeout=5) as jaeger:
            found = verification.verify(jaeger, nodes, chosen.outputs, since=begin, seconds=timeout)
            return found, "" if found.ok else absence.of_stack(jaeger)
