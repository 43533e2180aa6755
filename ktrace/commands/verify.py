"""``ktrace verify``: is everything traced?"""

from __future__ import annotations

import time
from dataclasses import asdict

import typer
import urllib3
from kubernetes import client
from rich.table import Table
from rich.text import Text

from ktrace.errors import FINDING, UnreachableError
from ktrace.jaeger import Jaeger, JaegerError
from ktrace.pipeline import coverage, hops
from ktrace.pipeline.coverage import Coverage, Node
from ktrace.pipeline.hops import Pipeline, Synthetic
from ktrace.target import options, target
from ktrace.target.target import Target
from ktrace.view import terminal
from runtime_observability.host import kubeapi

_API_SECONDS = 10


def verify(
    *,
    stack: options.StackOption = None,
    jaeger_url: options.JaegerOption = None,
    kubeconfig: options.KubeconfigOption = None,
    as_json: options.JsonOption = False,
    timeout: options.TimeoutOption = 15,
) -> None:
    """Is everything traced, on every node? If not, which hop to Jaeger is broken?

    Every component must send a new span within the time; a silent one is followed from its node
    to Jaeger: name resolves, TCP 4317 opens, the collector accepts, its exporter delivers, Jaeger
    has it. A span from this machine is sent as well. Nothing is changed.

    Examples:

      ktrace verify

      ktrace verify --json | jq -r '.components[] | select(.brokenHop) | .brokenHop.cure'

      ktrace verify --jaeger http://127.0.0.1:16686 --kubeconfig ~/.kube/config

    Exit codes: 0 all is traced, 1 a hop is broken, 2 wrong usage or no stack, 3 the cluster cannot
    be asked.
    """
    chosen = target.choose(stack, jaeger_url, kubeconfig)
    begin = time.time()
    nodes = list_nodes(chosen)
    awaited = f"waiting up to {timeout:g} s for a new span of every component"
    with Jaeger(chosen.jaeger, timeout=5) as jaeger, terminal.waiting(awaited):
        expected = coverage.expected_components(chosen.outputs, _services(jaeger))
        parts = coverage.wanted(nodes, expected)
        found = coverage.watch(jaeger, parts, begin, timeout)
        pipeline = hops.of_nodes(jaeger, [node.name for node in nodes])
        found = coverage.explain(found, pipeline)
        synthetic = pipeline.synthetic if isinstance(pipeline, Pipeline) and expected else None
    ok = all(part.ok or not part.expected for part in found) and (synthetic is None or synthetic.ok)
    if as_json:
        now = time.time()
        terminal.print_json(
            {
                "ok": ok,
                "components": [part.document(now) for part in found],
                "synthetic": asdict(synthetic) if synthetic else None,
            }
        )
    else:
        _print(found, synthetic)
    if not ok:
        raise typer.Exit(FINDING)


def list_nodes(chosen: Target) -> list[Node]:
    """Raises UnreachableError when the cluster does not answer."""
    try:
        listed = kubeapi.core(chosen.cluster).list_node(_request_timeout=_API_SECONDS).items
    except (client.ApiException, urllib3.exceptions.HTTPError) as error:
        raise UnreachableError(
            f"the cluster of {chosen.cluster} cannot be asked: {kubeapi.reason(error)}; "
            "`pulumi up` starts a stack's cluster that stands still"
        ) from None
    control = ("node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master")
    known = [node.metadata for node in listed if node.metadata]
    return [
        Node(str(each.name), any(role in (each.labels or {}) for role in control)) for each in known
    ]


def _services(jaeger: Jaeger) -> list[str]:
    try:
        return jaeger.services()
    except JaegerError:
        return []  # the way to it is walked all the same, and names it


def _print(found: list[Coverage], synthetic: Synthetic | None) -> None:
    console = terminal.console()
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column in ("", "component", "node", "last span"):
        table.add_column(column)
    now = time.time()
    for part in found:
        word = Text("ok", "green") if part.ok else Text("BROKEN", "bold red")
        if not part.expected:
            word = Text("-", "dim")
        age = "never" if part.last_span is None else f"{max(0.0, now - part.last_span):.1f} s ago"
        if not part.expected and not part.ok:
            age += ", not expected: not traced, or sampled"
        table.add_row(word, part.component, part.node, age)
    console.print(table)
    if synthetic:
        told = f"in Jaeger after {synthetic.seconds} s" if synthetic.ok else synthetic.evidence
        console.print(f"a span from this machine: {told}", markup=False)
    told_hops: dict[hops.BrokenHop, list[str]] = {}
    for part in found:
        if part.broken:
            told_hops.setdefault(part.broken, []).append(f"{part.component} on {part.node}")
    for hop, parts in told_hops.items():
        console.print(f"\nbroken: {hop.hop}", style="bold red", markup=False)
        console.print(f"  seen: {hop.evidence}", markup=False)
        console.print(f"  cure: {hop.cure}", markup=False)
        console.print(f"  affects: {', '.join(parts)}", markup=False)
