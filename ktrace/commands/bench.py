"""``ktrace bench``: how long do pods take to start here?"""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ktrace.commands import output_file
from ktrace.document import moment
from ktrace.errors import FINDING, UnreachableError, UsageError
from ktrace.target import options, target
from ktrace.text import clean
from ktrace.view import terminal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ktrace.benchmark.runner import Load
    from ktrace.benchmark.samples import Measurement
    from ktrace.jaeger import Jaeger
    from runtime_observability.host.api_server import ApiServer


def bench(
    *,
    pods: Annotated[
        int, typer.Option("--pods", metavar="N", min=2, max=1000, help="How many pods to start.")
    ] = 30,
    parallel: Annotated[
        int, typer.Option("--parallel", metavar="N", min=1, max=50, help="How many at once.")
    ] = 1,
    image: Annotated[
        str | None,
        typer.Option(
            "--image",
            metavar="IMAGE",
            help="What the pods run. Default: the sandboxes' own, which every node has.",
            show_default=False,
        ),
    ] = None,
    save: Annotated[
        Path | None,
        typer.Option("--save", metavar="FILE", help="Write the measurement, for `ktrace diff`."),
    ] = None,
    stack: options.TracesOption = None,
    jaeger_url: options.JaegerOption = None,
    kubeconfig: options.KubeconfigOption = None,
    as_json: options.JsonOption = False,
    timeout: options.TimeoutOption = 60,
) -> None:
    """How long do pods take to start here? Starts some, and measures each by its trace.

    The pods run in namespace default, and each is deleted as soon as it has started. The first
    start is told apart, because later ones find warm caches. A percentile that so few starts do not
    tell is left out: p90 needs 10, p99 needs 100. --timeout is for each pod to start, and then for
    all spans to arrive.

    Examples:

      ktrace bench

      ktrace bench --pods 101 --save before.json

      ktrace bench --image nginx:1.27 --parallel 4 --json | jq '.summary[0]'

    Exit codes: 0 every start was measured, 1 a pod did not start or its trace is not whole, 2 wrong
    usage or no stack, 3 Jaeger or the cluster cannot be reached. Ctrl-C deletes the pods.
    """
    if save:
        output_file.refuse_unwritable(save)
    from ktrace.benchmark import file
    from ktrace.benchmark.runner import Load, pause_image
    from ktrace.target import losses
    from ktrace.text import cleaned
    from ktrace.view import benchmark

    chosen = target.choose(stack, jaeger_url, kubeconfig)
    with chosen.connect() as jaeger, _connected(chosen.cluster) as api:
        jaeger.services()  # fails before a pod is started if Jaeger cannot be reached
        nodes = cleaned(api.get("/api/v1/nodes"))["items"]
        load = Load(image or pause_image(nodes), pods, parallel, timeout)
        began = time.time()
        measured = _measured(jaeger, api, load, nodes, runtime_traced=chosen.traces_runtime)
        lost = chosen.left_out
        if measured.failures and not lost:
            since = datetime.fromtimestamp(began, tz=UTC)
            lost = losses.of_what_began(chosen, stack, began) or losses.dropped(
                jaeger, losses.memory_of(chosen, stack), since
            )
    if measured.failures and lost:
        failures = {pod: f"{why}; {lost}" for pod, why in measured.failures.items()}
        measured = replace(measured, failures=failures)
    found = file.document(measured)
    if save:
        output_file.write(save, terminal.as_json(found) + "\n")
    if as_json:
        terminal.print_json(found)
    else:
        terminal.show(*benchmark.summary(measured))
        if save:
            terminal.show(f"measurement: {save}")
    if measured.failures:
        raise typer.Exit(FINDING)


@contextmanager
def _connected(kubeconfig: Path) -> Iterator[ApiServer]:
    """Its API server; UsageError or UnreachableError when it cannot be used."""
    from runtime_observability.host import api_server

    try:
        with api_server.ApiServer(kubeconfig) as api:
            yield api
    except api_server.UnusableKubeconfigError as error:
        raise UsageError(clean(str(error))) from None
    except api_server.FAILURES as error:
        raise UnreachableError(
            f"the cluster of {kubeconfig} cannot be reached: {clean(api_server.reason(error))}; "
            "`pulumi up` starts a stack's cluster that is stopped"
        ) from None


def _measured(
    jaeger: Jaeger,
    api: ApiServer,
    load: Load,
    nodes: Sequence[Mapping[str, Any]],
    *,
    runtime_traced: bool,
) -> Measurement:
    from ktrace.benchmark import runner
    from ktrace.benchmark.samples import Measurement
    from ktrace.text import cleaned

    version = cleaned(api.get("/version"))["gitVersion"]
    runtimes = {str(node["status"]["nodeInfo"]["containerRuntimeVersion"]) for node in nodes}
    began = moment(datetime.now(tz=UTC))
    with terminal.progress("pods have started", load.pods) as tell:
        first, *others = ran = runner.start_pods(api, load, tell)
    activity = f"waiting up to {load.seconds:g} s for the traces of {load.pods} pods"
    with terminal.waiting(activity):
        samples, failures = runner.measure(jaeger, ran, load.seconds, runtime_traced=runtime_traced)
    return Measurement(
        kubernetes=str(version),
        runtimes=sorted(runtimes),
        image=load.image,
        parallel=load.parallel,
        started_at=began,
        first=samples.get(first.pod.name),
        warm=[samples[later.pod.name] for later in others if later.pod.name in samples],
        failures=failures,
    )
