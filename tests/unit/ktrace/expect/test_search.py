"""The search for what expectations select."""

from __future__ import annotations

import time

import httpx
import pytest

from ktrace.expect.schema import File
from ktrace.expect.search import wait_for_verdicts
from tests.fakes.jaeger import client, data, span, trace
from tests.unit.ktrace.expect.expectation import expect


@pytest.mark.usefixtures("no_waiting")
def test_a_span_older_than_the_newest_thousand_traces_counts() -> None:
    now = int(time.time() * 1_000_000)
    times = [now - 1_000_000 - number * 1000 for number in range(1500)]
    slow = times[-1]

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/api/services/apiserver/operations":
            return httpx.Response(200, json={"data": ["GET x", "LIST"]})
        query = request.url.params
        within = [at for at in times if int(query["start"]) <= at <= int(query["end"])]
        spans = [span("apiserver", query["operation"], at) for at in within[: int(query["limit"])]]
        for one in spans:
            one |= {"traceID": f"t{one['startTime']}"}
            one |= {"duration": 9_000_000 if one["startTime"] == slow else 10}
        return data(*(trace(one, trace_id=one["traceID"]) for one in spans))

    fast = expect({"component": "apiserver", "operation": "GET *"}, durationBelowMs=1000)
    (verdict,) = wait_for_verdicts(client(answer), File(expectations=[fast]), 0)
    assert verdict.found == 1500
    assert len(verdict.failures) == 1
