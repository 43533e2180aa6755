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
from ktrace.following.owners import Owners
from ktrace.following.report import Report
from ktrace.jaeger import Jaeger, JaegerError
from ktrace.recording import user_command
from ktrace.recording.forwarder import recording
from ktrace.target import options, target
from ktrace.view import terminal


def run(
    command: Annotated[
        list[str], typer.Argument(metavar="-- COMMAND...", help="Any command with a cluster.")
    ],
    *,
    seconds: Annotated[
        float,
        typer.Option(
            "--for",
            metavar="SECONDS",
            min=0,
            help="How long to follow what comes of it; reading it may take 2 s more.",
        ),
    ] = 30,
    report_to: Annotated[
        str | None,
        typer.Option("--report", metavar="FILE", help="Where the report goes; - is stderr."),
    ] = None,
    stack: options.StackOption = None,
    jaeger_url: options.JaegerOption = None,
    kubeconfig: options.KubeconfigOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """What did this command cause? Its requests, and the pods that came of them.

    The command runs unchanged, with a KUBECONFIG that leads through a forwarder on 127.0.0.1,
    where the Audit-Id of every answer is read: those ids name its traces, and no one else's. Then
    the pods of the objects it wrote are followed until they are quiet; Ctrl-C ends that, not the
    report. The report goes to stderr unless --report names a file; stdout is the command's.

    Missed: a command that takes its cluster from --kubeconfig, --server or another context,
    requests after it has ended, pods whose owners' kinds have an irregular plural, and pods of
    collections that are deleted in one request. `kubectl --raw` is refused, and kubectl sends no
    --token and no --client-certificate through the forwarder: the stack's user is asked for then.

    Examples:

      ktrace run -- kubectl apply -f deployment.yaml

      ktrace run --json --report report.json -- helm upgrade --install web ./chart

      ktrace run --for 60 -- kubectl rollout restart deployment/web

    Exit codes: the command's own if that is not 0; 0 fine, 1 none of its requests came through,
    2 wrong usage or no stack, 3 Jaeger or the cluster cannot be asked.
    """
    chosen = target.choose(stack, jaeger_url, kubeconfig)
    file = _opened(report_to)
    with Jaeger(chosen.jaeger) as jaeger:
        jaeger.services()  # a Jaeger that is not there is known before the command runs
        owners = Owners(chosen.cluster)
        owners.look()
        begin = time.time()
        with recording(chosen.cluster) as (environment, recorder), owners.looking():
            ended = user_command.run(command, environment)
            requests = tuple(recorder.seen)
        follower = Follower(jaeger, owners, requests, begin)
        problem = (
            _follow(follower, 0 if ended.told_to else seconds) or owners.problem
            if requests
            else f"no request of `{' '.join(command)}` came through: it does not heed KUBECONFIG "
            "(--kubeconfig, --server or another context in it?), or asked no cluster"
        )
        found = follower.found
        report = Report(tuple(command), ended.code, requests, found, jaeger.url, problem)
    written = _write(report, file, as_json=as_json)
    if ended.code or not requests:
        raise typer.Exit(ended.code or FINDING)
    if not written:
        raise typer.Exit(USAGE)
    if problem:
        raise typer.Exit(UNREACHABLE)


def _opened(report_to: str | None) -> IO[str] | None:
    """Before the command runs: what it says then cannot be lost. None for stderr."""
    if report_to in (None, "-"):
        return None
    try:
        return Path(str(report_to)).open("w", encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{report_to} cannot be written: {error.strerror}") from None


def _follow(follower: Follower, seconds: float) -> str:
    """Why not all of it could be read, or an empty text."""
    try:
        with terminal.waiting(f"following what came of it, up to {seconds:g} s"):
            follower.follow(seconds)
    except JaegerError as error:
        return str(error)
    except KeyboardInterrupt:
        pass  # what is known by now is told
    return ""


def _write(report: Report, file: IO[str] | None, *, as_json: bool) -> bool:
    """Whether it came through; the command's exit code counts for more."""
    if file is None and not as_json:
        terminal.console(error=True).print(report.tree())
        return True
    text = terminal.as_json(report.document()) if as_json else terminal.plain(report.tree())
    try:
        with file or nullcontext(sys.stderr) as to:
            print(text, file=to)
    except OSError as error:
        print(f"ktrace: the report cannot be written: {error.strerror}", file=sys.stderr)
        return False
    return True
