"""A destination that takes its time costs Jaeger no span."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from ktrace.pipeline import collector_metrics
from tests.live.waiting import until
from tests.pipelines.backends import Request, serving
from tests.pipelines.collectors import HERE, Collectors, spans

SECONDS = 20
SENT = 20_000


@pytest.fixture
def hurry() -> threading.Event:
    """Ends the wait of every request."""
    return threading.Event()


@pytest.fixture
def slow(hurry: threading.Event) -> Iterator[str]:
    """The address of a destination that answers each request after ``SECONDS``."""

    def answer(_: Request) -> int:
        hurry.wait(SECONDS)
        return 200

    with serving(answer) as port:
        yield f"http://{HERE}:{port}"
        hurry.set()


def test_a_slow_destination_costs_jaeger_nothing(
    run: Collectors, slow: str, hurry: threading.Event
) -> None:
    jaeger = run()
    sender = run(jaeger, exporters=[{"name": "slow", "protocol": "http", "endpoint": slow}])
    metrics = f"http://127.0.0.1:{sender.ports[3]}/metrics"
    for _ in range(SENT // 500):
        assert sender.post("traces", spans("shop", 500, padding=1000)) == 200
    until("Jaeger's", lambda: jaeger.counted("receiver_accepted_spans") == SENT, SECONDS)

    def found() -> collector_metrics.Destination:
        (only,) = collector_metrics.read_destinations(metrics)
        return only

    until("drops", lambda: found().dropped > 0, 10)
    assert found().sent == 0, "it has answered: it was not slow"
    assert found().queued_bytes > 0
    assert sender.counted("exporter_enqueue_failed_spans", "jaeger") == 0
    hurry.set()
    until("the rest", lambda: found().sent + found().dropped == SENT, 20)
    assert found().failed == 0
