"""The lab's collector with rendered configurations: what a destination gets, and what Jaeger does.

Jaeger and the destinations are collectors and HTTP servers on 127.0.0.1; no stack is needed.
"""

from __future__ import annotations

import functools
import hashlib
import re
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
import trustme
import yaml

from ktrace.pipeline import collector_metrics
from runtime_observability.core import destinations, documents
from tests import collector
from tests.configuration import parsed
from tests.live.waiting import until

HEADER = """Basic a: b #c "d' {e} [f] %g &h *i ${env:HOME} $$ $X | > @`"""
MIB = 1024 * 1024
HERE = "destination.example"
"""In place of 127.0.0.1, which is refused: it would be the collector's container."""
EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


@dataclass
class Collector:
    """One that runs; ``ports`` are those of gRPC, HTTP, health and metrics."""

    folder: Path
    """Has its configuration, its queues on disk and its log."""
    ports: tuple[int, int, int, int]
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [collector.needed(), "--config", self.folder / "config.yaml"],
                stdout=log,
                stderr=log,
            )
        health = f"http://127.0.0.1:{self.ports[2]}/"
        until(f"a collector ({self.folder / 'log'})", functools.partial(_answers, health), 30)

    def kill(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()

    def counted(self, name: str, exporter: str = "") -> int:
        """The sum of a counter, of an exporter's where one is named."""
        text = httpx.get(f"http://127.0.0.1:{self.ports[3]}/metrics", timeout=5).text
        lines = re.findall(rf"^otelcol_{name}(?:_total)?(.*) (\S+)$", text, re.M)
        return sum(int(float(value)) for labels, value in lines if f'{exporter}"' in labels)

    def post(self, signal: str, body: bytes, kind: str = "application/x-protobuf") -> int:
        url = f"http://127.0.0.1:{self.ports[1]}/v1/{signal}"
        return httpx.post(url, content=body, headers={"Content-Type": kind}).status_code


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Callable[..., Collector]]:
    """Starts a collector with the configuration of a stack with these settings.

    ``queue_mib`` is how large its queues on disk are, if not as large as those of a stack.
    """
    running: list[Collector] = []

    def start(jaeger: Collector | None = None, *, queue_mib: int = 0, **settings: Any) -> Collector:
        folder = tmp_path / str(len(running))
        (folder / "queues").mkdir(parents=True)
        parse = parsed(**settings)
        text = documents.collector(
            parse.collector_version,
            1_000_000,
            parse.collector_memory_mib,
            exporters=parse.exporters,
            to_jaeger=parse.has_jaeger,
        )
        ports = tuple(free_port() for _ in range(4))
        for at, port in zip(("0.0.0.0:4317", "0.0.0.0:4318", "0.0.0.0:13133"), ports, strict=False):
            text = text.replace(at, f"127.0.0.1:{port}")
        text = text.replace("host: 0.0.0.0", "host: 127.0.0.1").replace(
            "port: 8888", f"port: {ports[3]}"
        )
        text = text.replace(HERE, "127.0.0.1").replace("/etc/otelcol", str(folder))
        text = text.replace(destinations.QUEUE_FOLDER, str(folder / "queues"))
        if queue_mib:
            size = f"queue_size: {destinations.DISK_QUEUE_MIB * MIB}"
            assert size in text
            text = text.replace(size, f"queue_size: {queue_mib * MIB}")
        if jaeger:
            text = text.replace("jaeger:4318", f"127.0.0.1:{jaeger.ports[1]}")
        elif parse.has_jaeger:
            text = _that_drops(text)
        files = destinations.files(parse.exporters) | destinations.secret_files(parse.exporters)
        for path, content in files.items():
            (folder / Path(path).name).write_text(content)
        (folder / "config.yaml").write_text(text)
        running.append(Collector(folder, ports))  # type: ignore[arg-type]
        running[-1].start()
        return running[-1]

    try:
        yield start
    finally:
        for each in running:
            each.kill()


def _that_drops(text: str) -> str:
    """Stands for Jaeger, with the message size that gRPC servers have by themselves."""
    document = yaml.safe_load(text)
    del document["receivers"]["otlp"]["protocols"]["grpc"]["max_recv_msg_size_mib"]
    document["exporters"] = {"nop": {}}
    for pipeline in document["service"]["pipelines"].values():
        pipeline["exporters"] = ["nop"]
    return yaml.safe_dump(document)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=1).status_code == 200
    except httpx.HTTPError:
        return False


@dataclass
class Backend:
    """An OTLP/HTTP server with TLS that takes requests with ``HEADER`` alone."""

    authority: str
    port: int
    paths: list[str] = field(default_factory=list)
    """Of the requests that it took."""

    def exporter(self, name: str, header: str) -> dict[str, Any]:
        return {
            "name": name,
            "protocol": "http",
            "endpoint": f"https://{HERE}:{self.port}",
            "headers": {"authorization": header},
            "tls": {"caFile": self.authority},
        }


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[Backend]:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    found = Backend(authority.cert_pem.bytes().decode(), 0)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            taken = self.headers["authorization"] == HEADER
            found.paths += [self.path] if taken else []
            self.send_response(200 if taken else 401)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        found.port = server.server_address[1]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield found
        server.shutdown()


def _field(number: int, content: bytes) -> bytes:
    """A protobuf field of a length."""
    return _number(number << 3 | 2) + _number(len(content)) + content


def _number(value: int) -> bytes:
    high, low = divmod(value, 128)
    return bytes([low | 128]) + _number(high) if high else bytes([low])


def spans(service: str, count: int, padding: int = 10) -> bytes:
    """An ExportTraceServiceRequest (opentelemetry-proto trace.proto): one trace for each span.

    The ids of the traces are the same for every service, and as random as a sampler needs them.
    """

    def attribute(key: str, value: str) -> bytes:
        return _field(1, key.encode()) + _field(2, _field(1, value.encode()))

    resource = _field(1, _field(1, attribute("service.name", service)))
    found = (
        _field(
            2,
            _field(1, hashlib.md5(number.to_bytes(8, "big")).digest())  # noqa: S324 - spreads ids
            + _field(2, number.to_bytes(8, "big"))
            + _field(5, b"work")
            + _field(9, attribute("padding", "x" * padding)),
        )
        for number in range(1, count + 1)
    )
    return _field(1, resource + _field(2, b"".join(found)))


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
    run: Callable[..., Collector], backend: Backend
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
    run: Callable[..., Collector], backend: Backend
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
    run: Callable[..., Collector], backend: Backend
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
    run: Callable[..., Collector], backend: Backend
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
    run: Callable[..., Collector], backend: Backend
) -> None:
    asked = {**backend.exporter("team", HEADER), "only": ["kubelet"]}
    sender = run(traceStore="none", exporters=[asked])
    assert sender.post("traces", spans("shop", 5)) == 200
    metrics = f"http://127.0.0.1:{sender.ports[3]}/metrics"
    until("the counter", lambda: collector_metrics.read_arrivals(metrics).filters, 10)


def test_a_jaeger_that_comes_back_gets_what_waited_within_seconds(
    run: Callable[..., Collector],
) -> None:
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
    run: Callable[..., Collector], transport: str
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
def test_other_signals_are_taken(run: Callable[..., Collector], signal: str) -> None:
    sender = run(run())
    assert sender.post(signal, b"{}", "application/json") == 200


@pytest.fixture
def team(run: Callable[..., Collector]) -> Collector:
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


def test_what_waits_on_disk_outlives_a_killed_collector(
    run: Callable[..., Collector], team: Collector
) -> None:
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


def test_a_full_queue_on_disk_costs_jaeger_nothing(
    run: Callable[..., Collector], team: Collector
) -> None:
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
