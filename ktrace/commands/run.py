"""``ktrace run``: what did this command cause?"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.tree import Tree

from components.files import write_private
from ktrace import consequences, target, terminal
from ktrace.consequences import Followed, Owners, PodWork
from ktrace.errors import UsageError
from ktrace.jaeger import Jaeger, JaegerError, Trace
from ktrace.proxy import Recorder, recording
from ktrace.requests import Seen
from ktrace.terminal import milliseconds


@dataclass(frozen=True)
class Report:
    command: tuple[str, ...]
    code: int
    requests: tuple[Seen, ...]
    followed: Followed
    jaeger_url: str
    problem: str = ""

    def trace_of(self, seen: Seen) -> Trace | None:
        return self.followed.traces.get(seen.audit_id)

    def duration_ms(self, seen: Seen) -> float:
        """The API server's own time where it is known, else what was seen from here."""
        if trace := self.trace_of(seen):
            return max(span.duration for span in trace.spans) / 1000
        return (seen.ended - seen.began) * 1000

    def url(self, trace: Trace | None) -> str | None:
        return f"{self.jaeger_url}/trace/{trace.id}" if trace else None

    def document(self) -> dict[str, Any]:
        """The shape that ``run --json`` promises."""
        return {
            "exitCode": self.code,
            "quiet": self.followed.quiet,
            "problem": self.problem or None,
            "requests": [
                {
                    "auditId": seen.audit_id or None,
                    "verb": seen.request.verb,
                    "resource": seen.request.resource or seen.path.partition("?")[0],
                    "namespace": seen.request.namespace or None,
                    "name": seen.request.name or None,
                    "status": seen.status,
                    "durationMs": round(self.duration_ms(seen), 1),
                    "traceUrl": self.url(self.trace_of(seen)),
                }
                for seen in self.requests
            ],
            "pods": [
                {
                    "namespace": pod.namespace,
                    "name": pod.name,
                    "services": pod.services,
                    "durationMs": round(pod.duration_ms, 1),
                    "traceUrl": self.url(pod.longest),
                    "traceUrls": [self.url(trace) for trace in pod.traces],
                }
                for pod in self.followed.pods
            ],
        }


def run(
    command: Annotated[
        list[str], typer.Argument(metavar="-- COMMAND...", help="Any command with a cluster.")
    ],
    *,
    seconds: Annotated[
        float,
        typer.Option(
            "--for", metavar="SECONDS", min=0, help="How long to follow what comes of it."
        ),
    ] = 30,
    report_to: Annotated[
        str | None,
        typer.Option("--report", metavar="FILE", help="Where the report goes; - is stderr."),
    ] = None,
    stack: target.StackOption = None,
    jaeger_url: target.JaegerOption = None,
    kubeconfig: target.KubeconfigOption = None,
    as_json: target.JsonOption = False,
) -> None:
    """What did this command cause? Its requests, and the pods that came of them.

    The command runs unchanged, with a KUBECONFIG that leads through a forwarder on 127.0.0.1,
    where the Audit-Id of every answer is read: those ids name its traces, and no one else's. Then
    the pods of the objects it wrote are followed until they are quiet. The report goes to stderr
    unless --report names a file; stdout is the command's.

    Missed: a command that takes its cluster from --kubeconfig, --server or another context,
    requests after it has ended, and pods whose owners' kinds have an irregular plural.

    Examples:

      ktrace run -- kubectl apply -f deployment.yaml

      ktrace run --json --report report.json -- helm upgrade --install web ./chart

      ktrace run --for 60 -- kubectl rollout restart deployment/web

    Exit codes: the command's own if that is not 0; 0 fine, 1 none of its requests came through,
    2 wrong usage or no stack, 3 Jaeger or the cluster cannot be asked.
    """
    chosen = target.choose(stack, jaeger_url, kubeconfig)
    with Jaeger(chosen.jaeger) as jaeger:
        jaeger.services()  # a Jaeger that is not there is known before the command runs
        owners = Owners(chosen.cluster)
        owners.look()
        begin = time.time()
        with recording(chosen.cluster) as (own, recorder):
            code = _run(command, own)
        report = _report(
            jaeger, owners, recorder, begin=begin, seconds=seconds, ran=(tuple(command), code)
        )
    _write(report, report_to, as_json=as_json)
    if code or not report.requests:
        raise typer.Exit(code or 1)
    if report.problem:
        raise typer.Exit(3)


def _run(command: list[str], kubeconfig: Path) -> int:
    """The command with this terminal; its exit code, as a shell has it for a signal."""
    environment = {**os.environ, "KUBECONFIG": str(kubeconfig)}
    # A terminal's Ctrl-C goes to both: the command's answer to it counts. A handler, unlike
    # "ignore", is not inherited.
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        child = subprocess.Popen(command, env=environment)
        code = child.wait()
    except OSError as error:
        raise UsageError(f"{command[0]} cannot be run: {error.strerror}") from None
    finally:
        signal.signal(signal.SIGINT, before)
    return code if code >= 0 else 128 - code


def _report(
    jaeger: Jaeger,
    owners: Owners,
    recorder: Recorder,
    *,
    begin: float,
    seconds: float,
    ran: tuple[tuple[str, ...], int],
) -> Report:
    command, code = ran
    requests = tuple(recorder.seen)
    found, problem = Followed([], {}, False), ""
    if requests:
        try:
            found = consequences.follow(jaeger, owners, requests, begin, seconds)
        except JaegerError as error:
            problem = str(error)
    else:
        problem = (
            f"no request of `{' '.join(command)}` came through: it does not heed KUBECONFIG "
            "(--kubeconfig, --server or another context in it?), or asked no cluster"
        )
    return Report(command, code, requests, found, jaeger.url, problem)


def _write(report: Report, to: str | None, *, as_json: bool) -> None:
    if as_json:
        text = terminal.as_json(report.document())
    elif to not in (None, "-"):
        text = terminal.plain(_tree(report))
    else:
        terminal.console(error=True).print(_tree(report))
        return
    if to in (None, "-"):
        print(text, file=sys.stderr)
        return
    try:
        write_private(Path(str(to)), text + "\n")
    except OSError as error:
        raise UsageError(f"{to} cannot be written: {error.strerror}") from None


def _tree(report: Report) -> Tree:
    tree = Tree(terminal.text(f"{' '.join(report.command)}  (exit {report.code})"))
    writes = [seen for seen in report.requests if seen.request.writes]
    others = [seen for seen in report.requests if not seen.request.writes]
    for seen in writes:
        request = seen.request
        what = "/".join(part for part in (request.namespace, request.name) if part)
        tree.add(
            terminal.text(
                f"{request.verb} {request.resource} {what}  {seen.status}  "
                f"{milliseconds(report.duration_ms(seen))}  "
                f"{report.url(report.trace_of(seen)) or 'no trace'}"
            )
        )
    if others:
        spent = sum(report.duration_ms(seen) for seen in others)
        reads = tree.add(
            terminal.text(f"{len(others)} requests that only read  {milliseconds(spent)}")
        )
        for seen in sorted(others, key=report.duration_ms, reverse=True)[:3]:
            reads.add(
                terminal.text(
                    f"{seen.request.verb} {seen.path.partition('?')[0]}  {seen.status}  "
                    f"{milliseconds(report.duration_ms(seen))}  "
                    f"{report.url(report.trace_of(seen)) or 'no trace'}"
                )
            )
    followed = tree.add(terminal.text(f"what followed: {len(report.followed.pods)} pods"))
    for pod in report.followed.pods:
        branch = followed.add(
            terminal.text(
                f"pod {pod.namespace}/{pod.name}  {_outcome(pod)} "
                f"{milliseconds(_shown_ms(pod))}  "
                f"{', '.join(pod.services)}  {report.url(pod.longest)}"
            )
        )
        for step in pod.start.steps if pod.start else ():
            if step.depth == 0 and step.duration_ms >= _shown_ms(pod) * 0.05:
                branch.add(terminal.text(f"{step.name}  {milliseconds(step.duration_ms)}"))
    if report.problem:
        tree.add(terminal.text(f"problem: {report.problem}"))
    elif not report.followed.quiet:
        tree.add(terminal.text("still at work when time was up: --for SECONDS follows longer"))
    return tree


def _outcome(pod: PodWork) -> str:
    if pod.start is None:
        return "ended in"
    return "started in" if pod.start.whole else "not started after"


def _shown_ms(pod: PodWork) -> float:
    return pod.start.duration_ms if pod.start else pod.duration_ms
