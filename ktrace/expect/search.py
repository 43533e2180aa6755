"""Searches Jaeger for what expectations select, until the verdicts are final."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ktrace.activity.requests import requests_in
from ktrace.clock import time
from ktrace.components import APISERVER
from ktrace.expect import caused, gone, judge_requests, judge_webhooks, matching, narrowed
from ktrace.expect import verdict as verdicts_of
from ktrace.expect.gone import ReadMemory
from ktrace.expect.judge import judge, queries
from ktrace.expect.schema import NEEDS_A_COMMAND, Expectation, File
from ktrace.expect.verdict import Verdict
from ktrace.expect.watermark import Watermark
from ktrace.jaeger import Jaeger, JaegerError, Reader, Trace, paging

_POLL_SECONDS = 1.0
_MOST_TRACES = 10_000
"""For one expectation; the kubelet of an idle node makes 2,400 in ten minutes."""


def wait_for_verdicts(
    jaeger: Jaeger, file: File, seconds: float, memory: ReadMemory = lambda: None
) -> list[Verdict]:
    """The verdicts once all hold in two searches in a row, or when time is up.

    One that spans on their way could break holds only after the watermark, and one that spans could
    change which ``memory`` no longer has is not known. A search that fails is repeated once Jaeger
    has answered one. Raises JaegerError.
    """
    begin = time.time()
    since = max(0, int((begin - file.sinceSeconds) * 1_000_000))
    search = _Search(jaeger, since, int(begin * 1_000_000), seconds)
    deadline = time.monotonic() + seconds
    has_answered = had_settled = False
    while True:
        is_last = time.monotonic() >= deadline
        try:
            verdicts = search.verdicts(file.expectations, is_last=is_last)
            has_settled = all(verdict.ok and not verdict.notes for verdict in verdicts)
            if (has_settled and had_settled) or is_last:
                return _as_far_as_known(jaeger, file, verdicts, since, memory)
        except JaegerError:
            if not has_answered or is_last:
                raise
            has_settled = False
        else:
            has_answered = True
        had_settled = has_settled
        # What the watermark promises has arrived, and is visible in the search after it.
        time.sleep(_POLL_SECONDS + jaeger.store.late)


def _as_far_as_known(
    jaeger: Jaeger, file: File, verdicts: Sequence[Verdict], since: int, memory: ReadMemory
) -> list[Verdict]:
    """``verdicts`` on what began after ``since``, and what Jaeger no longer has of that."""
    judged = list(zip(file.expectations, verdicts, strict=True))
    if not any(gone.needs_all(expectation, verdict) for expectation, verdict in judged):
        return list(verdicts)
    lost = gone.find(jaeger, memory(), since, int(time.time() * 1_000_000))
    if lost is None:
        return list(verdicts)
    return [
        gone.qualified(expectation, verdict, lost, file.sinceSeconds)
        for expectation, verdict in judged
    ]


class _Search:
    """Searches of the spans since ``since``, repeated for ``seconds`` from ``begin`` on.

    Both times are in microseconds since the Unix epoch.
    """

    def __init__(self, jaeger: Jaeger, since: int, begin: int, seconds: float) -> None:
        self._jaeger = jaeger
        self._reader = Reader(jaeger)
        self._watermark = Watermark(jaeger, begin)
        self._since = since
        self._seconds = seconds
        self._missing: list[list[str]] = []

    def verdicts(self, expectations: Sequence[Expectation], *, is_last: bool) -> list[Verdict]:
        """The verdicts of now. Raises JaegerError."""
        # Before the searches: they then see all that the watermark promises.
        self._watermark.look_again()
        missing = [
            self._watermark.missing(expectation) if expectation.expect.can_be_broken else []
            for expectation in expectations
        ]
        if is_last or missing != self._missing:
            self._reader.forget()
            self._missing = missing
        return [
            self._qualified(expectation, self._searched(expectation, is_last=is_last), components)
            for expectation, components in zip(expectations, missing, strict=True)
        ]

    def _qualified(
        self, expectation: Expectation, verdict: Verdict, missing: Sequence[str]
    ) -> Verdict:
        """``verdict``, or that it is not known; ``missing`` is behind the watermark."""
        if not missing or not verdict.ok:
            return verdict
        components = " and ".join(missing)
        unseen = (
            f"within {self._seconds:g} s no span of {components} arrived that began after this "
            "assertion, so others may still be on their way"
        )
        if not expectation.expect.is_of_absence:
            return replace(verdict, notes=(unseen,))
        failure = (
            f"not known: {unseen}. Check the name, run `ktrace verify`, or wait longer with "
            "--timeout; only count: {min: N} can be judged of a component that has ended"
        )
        return replace(verdict, failures=(failure,), judged=False)

    def _searched(self, expectation: Expectation, *, is_last: bool) -> Verdict:
        """If nothing is found at last, judged on the component's newest traces: the nearest."""
        if expectation.select is None:
            return self._of_requests(expectation)
        select = expectation.spans
        by_pattern = matching.is_pattern(select.operation) and select.operation != "*"
        operations = self._jaeger.operations(select.component, self._since) if by_pattern else None
        now = int(time.time() * 1_000_000)
        found: dict[str, Trace] = {}
        for query in queries(select, operations):
            traces, complete = self._reader.find_all(
                **query, start=self._since, end=now, most=_MOST_TRACES - len(found)
            )
            found |= {trace.id: trace for trace in traces}
            if not complete:
                return judge(expectation, list(found.values()), complete=False)
        newest = []
        if is_last and not found:
            newest = self._jaeger.find(select.component, start=self._since)
        return judge(expectation, [*found.values(), *newest])

    def _of_requests(self, expectation: Expectation) -> Verdict:
        """On all requests to the API server, whoever made them."""
        if expectation.request is None and expectation.webhook is None:
            verdict = verdicts_of.of(expectation, (), 0, expectation.subject)
            return verdicts_of.not_known(verdict, NEEDS_A_COMMAND)
        now = int(time.time() * 1_000_000)
        found: dict[str, Trace] = {}
        complete = True
        operations = (
            self._jaeger.operations(APISERVER, self._since) if expectation.request else None
        )
        for query in narrowed.queries(expectation, operations):
            traces, complete = self._reader.find_all(
                APISERVER,
                query.operation,
                tags=query.tags,
                start=self._since,
                end=now,
                most=_MOST_TRACES - len(found),
            )
            paging.add(found, traces)
            if not complete:
                break
        made = (one for one in requests_in(found.values()) if self._since <= one.start <= now)
        requests, calls = caused.observed(made)
        if expectation.request:
            verdict = judge_requests.judge(expectation, requests)
        else:
            verdict = judge_webhooks.judge(expectation, calls)
        if complete:
            return verdict
        read = f"only the newest {len(found)} traces were read: lower sinceSeconds"
        return replace(verdict, failures=(read, *verdict.failures), lacks_since=None)
