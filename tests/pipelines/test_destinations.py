"""The lab's collector with rendered configurations: what a destination gets, and what Jaeger does.

Jaeger and the destinations are collectors and HTTP servers on 127.0.0.1; no stack is needed.
"""

from __future__ import annotations

import time
from typing import Any

import grpc
import pytest

from ktrace.pipeline import collector_metrics
from tests.live.waiting import until
from tests.pipelines.backends import EXPORT, HEADER, Backend
from tests.pipelines.collectors import HERE, MIB, Collector, Collectors, spans


def sent_over_grpc(receiver: Collector, body: bytes) -> bool:
    """Whether the collector took it."""
    with grpc.insecure_channel(f"127.0.0.1:{receiver.ports[0]}") as channel:
        export = channel.unary_unary(EXPORT, request_serializer=bytes, response_deserializer=bytes)
        try:
            export(body, timeout=20)
        except grpc.RpcError:
            return False
        return True


def test_a_destination_gets_every_span_and_its_header_as_it_was_written(
    run: Collectors, backend: Backend
) -> None:
    jaeger = run()
    asked = {**backend.exporter("team", HEADER), "signals": ["traces", "metrics", "logs"]}
    sender = run(jaeger, exporters=[asked])
    assert sender.post("traces", spans("shop", 3000)) == 200
    for signal in ("metrics", "logs"):
        assert sender.post(signal, b"{}", "application/json") == 200
    until("them all", lambda: sender.counted("exporter_sent_spans", "team") == 3000, 20)
    assert set(backend.paths) == {"/v1/traces"}
    until("Jaeger's", lambda: jaeger.counted("receiver_accepted_spans") == 3000, 20)


def test_destinations_that_do_not_work_cost_jaeger_nothing(
    run: Collectors, backend: Backend
) -> None:
    jaeger = run()
    dead = {"name": "dead", "endpoint": f"{HERE}:1", "tls": {"insecure": True}}
    sender = run(jaeger, exporters=[dead, backend.exporter("wrong", "Basic wrong")])
    for _ in range(40):
        assert sender.post("traces", spans("shop", 500, padding=1000)) == 200
    until("Jaeger's", lambda: jaeger.counted("receiver_accepted_spans") == 20_000, 30)
    until("drops", lambda: sender.counted("exporter_enqueue_failed_spans", "dead") > 0, 10)
    until("refusals", lambda: sender.counted("exporter_send_failed_spans", "wrong") > 0, 10)
    assert backend.paths == []


def test_only_what_is_named_is_sent_and_a_trace_is_kept_or_dropped_whole(
    run: Collectors, backend: Backend
) -> None:
    jaeger = run()
    asked = {
        **backend.exporter("team", HEADER),
        "only": ["kubelet", "apiserver"],
        "samplingPerMillion": 250_000,
    }
    sender = run(jaeger, exporters=[asked])
    for service in ("kubelet", "apiserver", "shop"):
        assert sender.post("traces", spans(service, 4000)) == 200
    until("Jaeger's", lambda: jaeger.counted("receiver_accepted_spans") == 12_000, 20)
    until("some", lambda: sender.counted("exporter_sent_spans", "team") > 0, 20)
    time.sleep(1)
    kept = sender.counted("exporter_sent_spans", "team")
    assert kept % 2 == 0, "a trace has a span of each of the two"
    assert kept < 8000


def test_without_a_jaeger_destinations_get_everything_and_components_are_counted(
    run: Collectors, backend: Backend
) -> None:
    """What ktrace reads of it, while one of the destinations is dead."""
    asked = {**backend.exporter("team", HEADER), "signals": ["traces", "metrics", "logs"]}
    dead = {"name": "dead", "endpoint": f"{HERE}:1", "tls": {"insecure": True}}
    sender = run(traceStore="none", exporters=[asked, dead])
    metrics = f"http://127.0.0.1:{sender.ports[3]}/metrics"
    empty = dict.fromkeys(("apiserver", "kubelet", "containerd", "etcd"), 0)
    before = collector_metrics.read_arrivals(metrics)
    assert (before.of, before.filters) == (empty, False)
    for service, count in (("kubelet", 3000), ("containerd", 40), ("shop", 500)):
        assert sender.post("traces", spans(service, count)) == 200
    until("them all", lambda: sender.counted("exporter_sent_spans", "team") == 3540, 20)
    now = collector_metrics.read_arrivals(metrics)
    assert now.of == empty | {"kubelet": 3000, "containerd": 40}
    assert sorted(now.since(before)) == ["containerd", "kubelet"]
    assert now.took_since(before) == ["team"]
    assert [found.name for found in collector_metrics.watch(metrics).stuck] == ["dead"]


def test_a_destination_that_leaves_spans_out_is_known_by_the_counters(
    run: Collectors, backend: Backend
) -> None:
    asked = {**backend.exporter("team", HEADER), "only": ["kubelet"]}
    sender = run(traceStore="none", exporters=[asked])
    assert sender.post("traces", spans("shop", 5)) == 200
    metrics = f"http://127.0.0.1:{sender.ports[3]}/metrics"
    until("the counter", lambda: collector_metrics.read_arrivals(metrics).filters, 10)


def test_a_jaeger_that_comes_back_gets_what_waited_within_seconds(run: Collectors) -> None:
    """gRPC would not look at it for 15 s more, and after a longer outage for two minutes."""
    jaeger = run()
    sender = run(jaeger)
    jaeger.kill()
    for _ in range(28):
        assert sender.post("traces", spans("shop", 10)) == 200
        time.sleep(1)
    jaeger.start()
    until("them all", lambda: jaeger.counted("receiver_accepted_spans") == 280, 10)
    assert sender.counted("exporter_send_failed_spans") == 0


@pytest.mark.parametrize("transport", ["grpc", "http"])
def test_a_batch_of_6_mb_arrives_and_one_of_25_mb_is_refused_to_its_sender(
    run: Collectors, transport: str
) -> None:
    jaeger = run()
    sender = run(jaeger)
    large, too_large = spans("shop", 6000, padding=1000), spans("shop", 25_000, padding=1000)
    if transport == "grpc":
        assert sent_over_grpc(sender, large)
        assert not sent_over_grpc(sender, too_large)
    else:
        assert sender.post("traces", large) == 200
        assert sender.post("traces", too_large) in (400, 413)
    until("all spans", lambda: jaeger.counted("receiver_accepted_spans") == 6000, 20)


@pytest.mark.parametrize("signal", ["metrics", "logs"])
def test_other_signals_are_taken(run: Collectors, signal: str) -> None:
    sender = run(run())
    assert sender.post(signal, b"{}", "application/json") == 200


@pytest.fixture
def team(run: Collectors) -> Collector:
    """A destination, which is down until it is started."""
    found = run()
    found.kill()
    return found


def on_disk(team: Collector) -> dict[str, Any]:
    return {
        "name": "team",
        "endpoint": f"{HERE}:{team.ports[0]}",
        "tls": {"insecure": True},
        "queue": "disk",
    }


def test_what_waits_on_disk_outlives_a_killed_collector(run: Collectors, team: Collector) -> None:
    sender = run(run(), exporters=[on_disk(team)])
    for _ in range(20):
        assert sender.post("traces", spans("shop", 1000)) == 200
    time.sleep(1)  # what is less than 0.2 s old can still be in a batch, in memory
    waiting = queued(sender)
    sender.kill()
    sender.start()
    assert queued(sender) == waiting
    team.start()
    until("every span", lambda: team.counted("receiver_accepted_spans") == 20_000, 60)
    until("an empty queue", lambda: queued(sender) == 0, 10)
    assert lost(sender) == 0
    (file,) = (sender.folder / "queues").iterdir()
    assert file.stat().st_mode & 0o077 == 0


def test_a_full_queue_on_disk_costs_jaeger_nothing(run: Collectors, team: Collector) -> None:
    jaeger = run()
    sender = run(jaeger, queue_mib=8, exporters=[on_disk(team)])
    for _ in range(40):
        assert sender.post("traces", spans("shop", 500, padding=1000)) == 200
    until("Jaeger's", lambda: jaeger.counted("receiver_accepted_spans") == 20_000, 60)
    dropped = until("drops", lambda: lost(sender), 10)
    assert 0.9 * 8 * MIB < queued(sender) <= 8 * MIB
    team.start()
    until("the rest", lambda: team.counted("receiver_accepted_spans") == 20_000 - dropped, 60)


def queued(sender: Collector) -> int:
    """Bytes of traces that wait for the team."""
    return sender.counted("exporter_queue_size", "team")


def lost(sender: Collector) -> int:
    """Spans that the team does not get."""
    return sum(
        sender.counted(f"exporter_{why}_failed_spans", "team") for why in ("enqueue", "send")
    )
