"""``ktrace run``: what did this command cause?"""

from __future__ import annotations

import sys
from contextlib import nullcontext
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, NoReturn

import typer

from ktrace import streams
from ktrace.commands import output_file
from ktrace.document import of_error
from ktrace.errors import FINDING, INTERRUPTED, UNREACHABLE, USAGE, UsageError
from ktrace.failures import FAILURES, code_of, line_of
from ktrace.target import options, target
from ktrace.view import terminal

if TYPE_CHECKING:
    from ktrace.following.report import Report


def run(
    command: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="-- COMMAND...", help="Any command that uses a cluster.", show_default=False
        ),
    ] = None,
    *,
    seconds: Annotated[
        float,
        typer.Option(
            "--for",
            metavar="SECONDS",
            min=0,
            callback=options.finite,
            help="How long to follow what it caused, at most; reading that may take 2 s more, "
            "and 0.1 s for each pod that ends.",
        ),
    ] = 30,
    report_to: Annotated[
        str | None,
        typer.Option("--report", metavar="FILE", help="Write the report to FILE; - is stderr."),
    ] = None,
    expected: Annotated[
        list[str] | None,
        typer.Option(
            "--assert",
            metavar="FILE",
            help="Judge what it caused: expectations as for ktrace assert; repeatable.",
        ),
    ] = None,
    expected_values: options.ValuesOption = None,
    junit_file: Annotated[
        Path | None,
        typer.Option("--junit", metavar="FILE", help="Write the verdicts as a JUnit report."),
    ] = None,
    stack: options.TracesOption = None,
    jaeger_url: options.JaegerOption = None,
    kubeconfig: options.KubeconfigOption = None,
    otlp: Annotated[
        str | None,
        typer.Option(
            "--otlp",
            metavar="URL",
            help="Collector that takes the command's spans over HTTP, http://HOST:4318. Default: "
            "the stack's, or that of OTEL_EXPORTER_OTLP_ENDPOINT.",
            show_default=False,
        ),
    ] = None,
    save_to: options.SaveOption = None,
    answer_from: options.FromOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """What did this command cause? Its requests, and the pods that followed from them.

    The command runs unchanged, with a KUBECONFIG that leads through a forwarder on 127.0.0.1,
    which records the Audit-Id of every answer: those ids belong to its traces and to no others.
    Then the pods of the objects that it wrote are followed until nothing changes; Ctrl-C ends the
    following, and the report is still written. It goes to stderr unless --report names a file;
    stdout is the command's.

    The forwarder ends with the command: processes that still run are refused then. A pod that
    replaces one which the command deleted or evicted is shown too. A user who may not list the
    pods of all namespaces gets those of the namespaces that the command wrote to.

    Pods that end because of it are told as by ktrace show --ending; of other objects that it
    deleted, whether they still exist and what holds them; of an eviction that was refused, the
    PodDisruptionBudget and what that wants.

    With a stack, or a collector that --otlp names, the command is a trace of its own, whose page is
    the report's first line: each request has a traceparent, and the command has TRACEPARENT, to go
    on with. The API server's spans join that trace if it trusts the user: members of
    system:masters, from Kubernetes 1.33 on.

    Not reported: requests to a cluster that --kubeconfig, --server or another context names.
    `kubectl --raw` is refused. kubectl sends neither --token nor --client-certificate through the
    forwarder: its requests are those of the kubeconfig's user.

    --assert judges nothing but what the command caused; the verdicts are below the report. The file
    is that of ktrace assert, and an expectation may be about a request, a webhook, a pod (each with
    patterns), or quietFor: 20s: for so long nobody writes what was touched, within twice that time
    after it settled. A file that is wrong is refused before the command runs. With --from it judges
    what the bundle has of a command; what that does not tell is not known.

    Examples:

      ktrace run -- kubectl apply -f deployment.yaml

      ktrace run --json --report report.json -- helm upgrade --install web ./chart

      ktrace run --for 60 -- kubectl rollout restart deployment/web

      ktrace run --assert operator.yaml --junit report.xml -- kubectl apply -f widget.yaml

    Exit codes: the command's own if that is not 0; else 0 reported, 1 no request was recorded or an
    expectation is not met or cannot be judged, 2 wrong usage, a broken file or no stack, 3 Jaeger
    or the cluster cannot be reached, or Jaeger restarted and lost spans that are missing; 130 if
    Ctrl-C came before the expectations were judged.
    """
    from ktrace.commands import run_report
    from ktrace.commands.run_assert import Assertions

    if not command and answer_from is None:
        raise UsageError("no command is given: write ktrace run -- COMMAND")
    if otlp and answer_from:
        raise UsageError("--otlp is for a command that runs: leave it out with --from")
    assertions = Assertions(
        expected or (), expected_values or (), junit_file, of_bundle=answer_from is not None
    )
    file = _open(report_to)
    try:
        assertions.load()
        chosen = target.choose(stack, jaeger_url, kubeconfig)
        report = run_report.report(command or (), seconds, chosen, assertions, stack, otlp=otlp)
    except FAILURES as error:
        assertions.write_error(line_of(error))
        if file is None or not as_json:
            raise  # it is told on stderr
        _end(error, file)
    written = _write(report, file, as_json=as_json)
    if report.judged:
        written &= assertions.write(report.judged)
    if code := _code(report, written=written):
        raise typer.Exit(code)


def _code(report: Report, *, written: bool) -> int:
    if report.code or not report.requests:
        return report.code or FINDING
    verdicts = report.judged.verdicts if report.judged else []
    if report.judged and report.judged.interrupted:
        return INTERRUPTED
    if not written:
        return USAGE
    if any(verdict.judged and not verdict.ok for verdict in verdicts):
        return FINDING
    if report.problem:
        return UNREACHABLE
    return 0 if all(verdict.ok for verdict in verdicts) else FINDING


def _open(report_to: str | None) -> IO[str] | None:
    """Before the command runs, so that its report is not lost; None for stderr."""
    if report_to is None or report_to == "-":
        return None
    path = Path(report_to)
    output_file.refuse_unwritable(path)
    try:
        return path.open("w", encoding="utf-8")
    except OSError as error:
        raise output_file.failed(path, error) from None


def _end(failure: Exception, file: IO[str]) -> NoReturn:
    """The failure's document is in ``file``, where the report would be; its line is on stderr."""
    line, code = line_of(failure), code_of(failure)
    unwritten = _print(terminal.as_json(of_error(line, code)), file)
    streams.tell("; ".join(filter(None, (line, unwritten))))
    raise typer.Exit(code)


def _write(report: Report, file: IO[str] | None, *, as_json: bool) -> bool:
    """Returns whether it was written; an error must not hide the command's exit code."""
    from ktrace.view import tree

    if as_json:
        text = terminal.as_json(report.document())
    elif file is None:
        text = terminal.coloured(tree.with_verdicts(report), error=True)
    else:
        text = terminal.plain(*tree.with_verdicts(report))
    if unwritten := _print(text, file):
        streams.tell(unwritten)
    return not unwritten


def _print(text: str, file: IO[str] | None) -> str:
    """Returns why it could not be written, or an empty text."""
    try:
        with file or nullcontext(sys.stderr) as output:
            print(text, file=output)
    except OSError as error:
        return f"the report cannot be written: {error.strerror}: name another file"
    return ""
