"""``ktrace assert``: expectations on traces, for CI."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from ktrace.errors import FINDING, UsageError
from ktrace.expect import expectations
from ktrace.expect.expectations import Expectation, File, Verdict
from ktrace.jaeger import Jaeger, JaegerError, Trace
from ktrace.target import options, target
from ktrace.view import junit, terminal

_POLL_SECONDS = 1.0
_MOST = 10_000
"""Traces for one expectation; the kubelet of a node at rest makes 2,400 in ten minutes."""


def assert_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Expectations as YAML.")],
    *,
    values: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="What ${NAME} in the file stands for."),
    ] = None,
    junit_file: Annotated[
        Path | None, typer.Option("--junit", metavar="FILE", help="Write a JUnit report.")
    ] = None,
    stack: options.StackOption = None,
    jaeger_url: options.JaegerOption = None,
    as_json: options.JsonOption = False,
    timeout: options.TimeoutOption = 15,
) -> None:
    """Do the traces show what they must? Every expectation is met, or said with what is nearest.

    Until the time is up, unmet expectations are looked at again; a met one must be met twice.

    FILE is a map: sinceSeconds (600) and expectations, each with a name, a select of component,
    operation, pod (namespace/name, for kubelet and containerd) and attributes, and an expect of
    count (a number, or min and max; at least one by default), child (component, operation),
    durationBelowMs and noErrors. Operations and attributes may hold * and ?. What selects from
    more than 10,000 traces fails.

    Examples:

      ktrace assert tests/traces/pod-start.yaml --set POD=default/web-0

      ktrace assert tests/traces/control-plane.yaml --junit report.xml

    Exit codes: 0 all are met, 1 one is not, 2 a broken file, wrong usage, no stack or no answer
    from Jaeger.
    """
    given = dict(_pair(each) for each in values or ())
    wanted = expectations.load(file, given)
    chosen = target.choose(stack, jaeger_url, None)
    begin = time.monotonic()
    try:
        awaited = (
            f"waiting up to {timeout:g} s until {len(wanted.expectations)} expectations are met"
        )
        with Jaeger(chosen.jaeger) as jaeger, terminal.waiting(awaited):
            verdicts = judged(jaeger, wanted, timeout)
    except JaegerError as error:
        raise UsageError(str(error)) from None
    if junit_file:
        try:
            junit_file.write_text(junit.render(file.stem, verdicts, time.monotonic() - begin))
        except OSError as error:
            raise UsageError(f"{junit_file} cannot be written: {error.strerror}") from None
    ok = all(verdict.ok for verdict in verdicts)
    if as_json:
        terminal.print_json({"ok": ok, "expectations": [_document(each) for each in verdicts]})
    else:
        _print(verdicts)
    if not ok:
        raise typer.Exit(FINDING)


def judged(jaeger: Jaeger, wanted: File, seconds: float) -> list[Verdict]:
    """Every verdict, once two looks agree that all are met, or when time is up."""
    since = int((time.time() - wanted.sinceSeconds) * 1_000_000)
    deadline = time.monotonic() + seconds
    before: list[Verdict] | None = None
    while True:
        now = [_look(jaeger, each, since) for each in wanted.expectations]
        if now == before and all(verdict.ok for verdict in now):
            return now
        if time.monotonic() >= deadline:
            return now
        before = now
        time.sleep(_POLL_SECONDS)


def _look(jaeger: Jaeger, expectation: Expectation, since: int) -> Verdict:
    """What is asked for is judged; where that is nothing, what is near, so that it can be shown."""
    select = expectation.select
    known = jaeger.operations(select.component) if expectations.is_pattern(select.operation) else []
    now = int(time.time() * 1_000_000)
    found: dict[str, Trace] = {}
    for question in expectations.questions(select, known):
        more, whole = jaeger.find_all(**question, start=since, end=now, most=_MOST - len(found))
        found |= {trace.id: trace for trace in more}
        if not whole:
            return expectations.judge(expectation, list(found.values()), whole=False)
    near = [] if found else jaeger.find(select.component, start=since)
    return expectations.judge(expectation, [*found.values(), *near])


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise UsageError(f"--set {text!r} is not NAME=VALUE")
    return name, value


def _document(verdict: Verdict) -> dict[str, Any]:
    return {
        "name": verdict.name,
        "ok": verdict.ok,
        "found": verdict.found,
        "failures": list(verdict.failures),
        "nearest": list(verdict.nearest),
    }


def _print(verdicts: list[Verdict]) -> None:
    console = terminal.console()
    for verdict in verdicts:
        word = terminal.text("ok    " if verdict.ok else "FAILED")
        word.stylize("green" if verdict.ok else "bold red")
        word.append(f"  {verdict.name} ({verdict.found} spans)", "default")
        console.print(word)
        for failure in verdict.failures:
            console.print(f"        {failure}", markup=False)
        for near in verdict.nearest:
            console.print(f"        nearest: {near}", markup=False)
