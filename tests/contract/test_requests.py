"""What a selector's own searches find of recorded requests is what all traces hold."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from ktrace.activity.requests import requests_in
from ktrace.components import APISERVER
from ktrace.expect import caused, judge_requests, narrowed
from ktrace.expect.schema import Expectation
from ktrace.expect.verdict import Verdict
from ktrace.jaeger import Jaeger, Trace
from tests.contract import recordings
from tests.contract.conftest import KNOWN
from tests.contract.jaeger_process import Process
from tests.contract.spans import SECOND

_VISIBLE_SECONDS = 60
_MOST = 10_000
_STARTS = [one.start // 1000 for one in recordings.requests()]
"""In microseconds since the Unix epoch."""


def find(jaeger: Jaeger, operation: str = "", **tags: str) -> tuple[list[Trace], bool]:
    begin, end = min(_STARTS) - SECOND, max(_STARTS) + SECOND
    return jaeger.find_all(APISERVER, operation, tags=tags, start=begin, end=end, most=_MOST)


@pytest.fixture(scope="module")
def filled(processes: dict[str, Process]) -> dict[str, list[Trace]]:
    """All traces of these requests, by store, once each has them."""
    return {name: _visible(process) for name, process in processes.items()}


def _visible(process: Process) -> list[Trace]:
    wanted = {one.id for one in recordings.requests()}
    deadline = time.monotonic() + _VISIBLE_SECONDS
    with Jaeger(process.url, store=KNOWN[process.store]) as jaeger:
        while True:
            traces, whole = find(jaeger)
            missing = wanted - {span.span_id for trace in traces for span in trace.spans}
            if whole and not missing:
                return traces
            assert time.monotonic() < deadline, (process.store, len(missing))
            time.sleep(0.5)


@pytest.mark.parametrize(
    "about",
    [
        {"request": {"verb": "create"}},
        {"request": {"verb": "write"}},
        {"request": {"resource": "pods"}},
        {"request": {"resource": "pods/status", "verb": "patch"}},
        {"request": {"resource": "pods/binding", "verb": "create"}},
    ],
    ids=str,
)
def test_a_selector_finds_all_that_it_selects(
    jaeger: Jaeger, process: Process, filled: dict[str, list[Trace]], about: Mapping[str, Any]
) -> None:
    every = filled[process.store]
    expectation = Expectation.model_validate({"name": "it", **about, "expect": {"noErrors": True}})
    found: dict[str, Trace] = {}
    for query in narrowed.queries(expectation, jaeger.operations(APISERVER, min(_STARTS))):
        traces, whole = find(jaeger, query.operation, **query.tags)
        assert whole
        found |= {trace.id: trace for trace in traces}
    verdict = judged(expectation, found.values())
    assert verdict == judged(expectation, every)
    assert verdict.found
    assert len(found) < len(every)


def judged(expectation: Expectation, traces: Iterable[Trace]) -> Verdict:
    """Whatever the order in which a store answers."""
    in_order = sorted(requests_in(traces), key=lambda one: (one.start, one.trace_id, one.path))
    requests, _ = caused.observed(in_order)
    return judge_requests.judge(expectation, requests)
