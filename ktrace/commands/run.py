"""``ktrace run``: what did this command cause?"""

from __future__ import annotations

import sys
import time
from contextlib import nullcontext
from pathlib import Path
from typing import IO, Annotated

import typer

from ktrace.errors import FINDING, UNREACHABLE, USAGE, UsageError
from ktrace.following.follower import Follower
from ktrace.following.owners import PodOwners
from ktrace.following.report import Report
from ktrace.jaeger import Jaeger, JaegerError
from ktrace.recording import user_command
from ktrace.recording.forwarder import recording
from ktrace.target import options, target
from ktrace.view import terminal, tree


def run(
    command: Annotated[
        list[str], typer.Argument(metavar="-- COMMAND...", help="Any command that uses a cluster.")
    ],
    *,
    seconds: Annotated[
        float,
        typer.Option(
            "--for",
            metavar="SECONDS",
            min=0,
            help="How long to follow what it caused, at most; reading that may take 2 s more.",
        ),
    ] = 30,
    report_to: Annotated[
        str | None,
        typer.Option("--report", metavar="FILE", help="Write the report to FILE; - is stderr."),
    ] = None,
    stack: options.StackOption = None,
    jaeger_url: options.JaegerOption = None,
    kubeconfig: options.KubeconfigOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """What did this command cause? Its requests, and the pods that followed from them.

    The command runs unchanged, with a KUBECONFIG that leads through a forwarder on 127.0.0.1,
    which records the Audit-Id of every answer: those ids belong to its traces and to no others.
    Then the pods of the objects that it wrote are followed until nothing changes; Ctrl-C ends the
    following, and the report is still written. It goes to stderr unless --report names a file;
    stdout is the command's.

    Not reported: requests to a cluster that --kubeconfig, --server or another context names,
    requests after the command has ended, pods whose owners' kinds have an irregular plural, and
    pods of collections that are deleted in one request. `kubectl --raw` is refused. kubectl sends
    neither --token nor --client-certificate through the forwarder: its requests are those of the
    kubeconfig's user.

    Examples:

      ktrace run -- kubectl apply -f deployment.yaml

      ktrace run --json --report report.json -- helm upgrade --install web ./chart

      ktrace run --for 60 -- kubectl rollout restart deployment/web

    Exit codes: the command's own if that is not 0; else 0 reported, 1 no request was recorded,
    2 wrong usage or no stack, 3 Jaeger or the cluster cannot be reached.
    """
    chosen = target.choose(stack, jaeger_url, kubeconfig)
    file = _open(report_to)
    with Jaeger(chosen.jaeger) as jaeger:
        jaeger.services()  # fails before the command runs if Jaeger cannot be reached
        owners = PodOwners(chosen.cluster)
        owners.refresh()
        begin = time.time()
        with recording(chosen.cluster) as (environment, recorder), owners.refreshing():
            outcome = user_command.run(command, environment)
            requests = tuple(recorder.requests)
        follower = Follower(jaeger, owners, requests, begin)
        problem = (
            _follow(follower, 0 if outcome.terminated else seconds) or owners.problem
            if requests
            else f"no request of `{' '.join(command)}` was recorded: it sent none, or none to "
            "the cluster of KUBECONFIG, which --kubeconfig, --server and --context override"
        )
        report = Report(
            tuple(command), outcome.code, requests, follower.followed, jaeger.url, problem
        )
    written = _write(report, file, as_json=as_json)
    if outcome.code or not requests:
        raise typer.Exit(outcome.code or FINDING)
    if not written:
        raise typer.Exit(USAGE)
    if problem:
        raise typer.Exit(UNREACHABLE)


def _open(report_to: str | None) -> IO[str] | None:
    """Before the command runs, so that its report is not lost; None for stderr."""
    if report_to in (None, "-"):
        return None
    try:
        return Path(str(report_to)).open("w", encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{report_to} cannot be written: {error.strerror}") from None


def _follow(follower: Follower, seconds: float) -> str:
    """Returns why the report is incomplete, or an empty text."""
    try:
        with terminal.waiting(f"following what the command caused, up to {seconds:g} s"):
            follower.follow(seconds)
    except JaegerError as error:
        return str(error)
    except KeyboardInterrupt:
        pass  # the report has what is known by now
    return ""


def _write(report: Report, file: IO[str] | None, *, as_json: bool) -> bool:
    """Returns whether it was written; an error must not hide the command's exit code."""
    if file is None and not as_json:
        terminal.console(error=True).print(tree.render(report))
        return True
    text = terminal.as_json(report.document()) if as_json else terminal.plain(tree.render(report))
    try:
        with file or nullcontext(sys.stderr) as output:
            print(text, file=output)
    except OSError as error:
        print(f"ktrace: the report cannot be written: {error.strerror}", file=sys.stderr)
        return False
    return True
