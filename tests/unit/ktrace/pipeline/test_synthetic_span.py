"""The span that ktrace sends itself."""

from __future__ import annotations

from ktrace.pipeline import synthetic_span
from tests.fakes.http import FakeServer, Reply


def test_no_sampler_drops_the_span_that_is_sent(server: FakeServer) -> None:
    """In proportional mode the last 14 hex digits decide: those of ones are kept at any rate."""
    server.answer = lambda _: Reply(200)
    ids = {synthetic_span.send(server.url) for _ in range(2)}
    assert len(ids) == 2
    sent = []
    for request in server.asked("POST", "/v1/traces"):
        (resource,) = request.body["resourceSpans"]
        (span,) = resource["scopeSpans"][0]["spans"]
        sent.append(span["traceId"])
        assert int(span["endTimeUnixNano"]) > int(span["startTimeUnixNano"])
        (service,) = resource["resource"]["attributes"]
        assert service == {"key": "service.name", "value": {"stringValue": "ktrace"}}
    assert set(sent) == ids
    for trace_id in ids:
        assert len(bytes.fromhex(trace_id)) == 16
        assert trace_id.endswith("f" * 14)
        assert not trace_id.endswith("f" * 20)
