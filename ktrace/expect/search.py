"""Searches Jaeger for what expectations select, until the verdicts are final."""

from __future__ import annotations

import time
from dataclasses import replace

from ktrace.expect import matching
from ktrace.expect.judge import Verdict, judge, queries
from ktrace.expect.schema import Expectation, File
from ktrace.expect.watermark import Watermark
from ktrace.jaeger import Jaeger, JaegerError, Trace

_POLL_SECONDS = 1.0
_MOST_TRACES = 10_000
"""For one expectation; the kubelet of an idle node makes 2,400 in ten minutes."""


def wait_for_verdicts(jaeger: Jaeger, file: File, seconds: float) -> list[Verdict]:
    """The verdicts once all hold in two searches in a row, or when time is up.

    One that spans on their way could break holds only after the watermark. A search that fails is
    repeated once Jaeger has answered one. Raises JaegerError.
    """
    begin = time.time()
    since = max(0, int((begin - file.sinceSeconds) * 1_000_000))
    watermark = Watermark(jaeger, int(begin * 1_000_000))
    deadline = time.monotonic() + seconds
    has_answered = had_settled = False
    while True:
        watermark.look_again()
        try:
            verdicts = [
                _verdict(jaeger, expectation, since, watermark, seconds)
                for expectation in file.expectations
            ]
        except JaegerError:
            if not has_answered or time.monotonic() >= deadline:
                raise
            has_settled = False
        else:
            has_answered = True
            has_settled = all(verdict.ok and not verdict.notes for verdict in verdicts)
            if (has_settled and had_settled) or time.monotonic() >= deadline:
                return verdicts
        had_settled = has_settled
        time.sleep(_POLL_SECONDS)


def _verdict(
    jaeger: Jaeger, expectation: Expectation, since: int, watermark: Watermark, seconds: float
) -> Verdict:
    # Before the search: it then sees all that the watermark promises.
    missing = watermark.missing(expectation) if expectation.expect.can_be_broken else []
    verdict = _searched(jaeger, expectation, since)
    if not missing or not verdict.ok:
        return verdict
    components = " and ".join(missing)
    unseen = (
        f"within {seconds:g} s no span of {components} arrived that began after this assertion, so "
        "others may still be on their way"
    )
    if not expectation.expect.is_of_absence:
        return replace(verdict, notes=(unseen,))
    failure = (
        f"not known: {unseen}. Check the name, run `ktrace verify`, or wait longer with --timeout; "
        "only count: {min: N} can be judged of a component that has ended"
    )
    return replace(verdict, failures=(failure,), judged=False)


def _searched(jaeger: Jaeger, expectation: Expectation, since: int) -> Verdict:
    """If nothing is found, judged on the component's newest traces, for their nearest spans."""
    select = expectation.select
    by_pattern = matching.is_pattern(select.operation) and select.operation != "*"
    operations = jaeger.operations(select.component) if by_pattern else []
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
