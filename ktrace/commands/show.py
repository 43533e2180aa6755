"""``ktrace show``: why was my pod slow?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ktrace import completion
from ktrace.commands import output_file
from ktrace.errors import UsageError
from ktrace.target import options, target


def show(
    what: Annotated[
        str,
        typer.Argument(
            metavar="pod/NAME | KIND/NAME | KIND",
            autocompletion=completion.pods_and_workloads,
            help="A pod, which may already be deleted, or deploy, sts, ds, job or rs.",
            show_default=False,
        ),
    ] = "",
    *,
    namespace: options.NamespaceOption = "default",
    selector: Annotated[
        str, typer.Option("--selector", "-l", metavar="SELECTOR", help="All that have the labels.")
    ] = "",
    all_namespaces: Annotated[
        bool, typer.Option("--all-namespaces", "-A", help="In all namespaces.")
    ] = False,
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
    save_to: options.SaveOption = None,
    answer_from: options.FromOption = None,
    as_json: options.JsonOption = False,
    timeout: options.TimeoutOption = 15,
) -> None:
    """Why was my pod slow? Its start as a waterfall; of a workload, all starts of its rollout.

    The few steps that made the length are marked * with their share of it. Read are the spans in
    Jaeger, and the pod object with its Events where a cluster is known; what could not be read is
    named. A deleted pod can be shown as long as Jaeger has its traces; of several pods with the
    same name, the newest is shown. If they are of several stacks' clusters, --stack must name one.

    A workload is shown with its newest rollout: the write, every pod's start to Ready, the slowest
    first, and the pods that ended. -l and -A show the pods, or all workloads of a kind.

    With --ending it is the pod's end: who asked for it, preStop, the container that did not end in
    its grace period, the sandbox, the volumes, and the finalizers that hold the object.

    Examples:

      ktrace show pod/web-0 -n shop

      ktrace show web-0 --html start.html

      ktrace show web-0 --json | jq '.steps[] | select(.critical)'

      ktrace show pod/web-0 --ending --html ending.html

      ktrace show deploy/web -n shop --html rollout.html

      ktrace show -l app=web -n shop

      ktrace show sts -A

    Exit codes: 0 every container has started (with --ending: it has ended), or every wanted pod of
    a workload is Ready, in a job has started; 1 that is not so or not known, or nothing is known of
    it; 2 wrong usage, no stack, or pods of several stacks; 3 Jaeger, or the cluster of a workload,
    cannot be reached.
    """
    from ktrace.commands import show_ending, show_rollout, show_start

    workload = show_rollout.wanted(what, namespace, selector, all_namespaces=all_namespaces)
    if workload and ending:
        raise UsageError("--ending shows the end of one pod: write pod/NAME")
    if html:
        output_file.refuse_unwritable(html)
    chosen = target.choose(stack, jaeger_url, kubeconfig)
    pod = what.rpartition("/")[2]
    if workload:
        show_rollout.show(chosen, stack, workload, html=html, timeout=timeout, as_json=as_json)
    elif ending:
        show_ending.show(chosen, stack, namespace, pod, html=html, timeout=timeout, as_json=as_json)
    else:
        show_start.show(chosen, stack, namespace, pod, html=html, timeout=timeout, as_json=as_json)
