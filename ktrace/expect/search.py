"""Searches Jaeger for what expectations select, until the verdicts are final."""

from __future__ import annotations

import time

from ktrace.expect.judge import Verdict, is_pattern, judge, queries
from ktrace.expect.schema import Expectation, File
from ktrace.jaeger import Jaeger, Trace

_POLL_SECONDS = 1.0
_MOST_TRACES = 10_000
"""For one expectation; the kubelet of an idle node makes 2,400 in ten minutes."""


def wait_for_verdicts(jaeger: Jaeger, file: File, seconds: float) -> list[Verdict]:
    """The verdicts once two searches agree that all expectations are met, or when time is up.

    Raises JaegerError.
    """
    since = int((time.time() - file.sinceSeconds) * 1_000_000)
    deadline = time.monotonic() + seconds
    before: list[Verdict] | None = None
    while True:
        now = [_verdict(jaeger, expectation, since) for expectation in file.expectations]
        if now == before and all(verdict.ok for verdict in now):
            return now
        if time.monotonic() >= deadline:
            return now
        before = now
        time.sleep(_POLL_SECONDS)


def _verdict(jaeger: Jaeger, expectation: Expectation, since: int) -> Verdict:
    """If nothing is found, judged on the component's newest traces, for their nearest spans."""
    select = expectation.select
    operations = jaeger.operations(select.component) if is_pattern(select.operation) else []
    now = int(time.time() * 1_000_000)
    found: dict[str, Trace] = {}
    for query in queries(select, operations):
        traces, complete = jaeger.find_all(
            **query, start=since, end=now, most=_MOST_TRACES - len(found)
        )
        found |= {trace.id: trace for trace in traces}
        if not complete:
            return judge(expectation, list(found.values()), complete=False)
    newest = [] if found else jaeger.find(select.component, start=since)
    return judge(expectation, [*found.values(), *newest])
