"""A real collector with a generated configuration, and a receiver for what it exports.

It needs the processor tail_sampling, which the lab's has.
"""

from __future__ import annotations

import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import httpx
import yaml

from ktrace.recording.protobuf import fields
from runtime_observability.core import compatibility, documents
from runtime_observability.core.presets import PROCESSOR, Choice
from runtime_observability.core.support import DEFAULT_COLLECTOR
from tests import processes
from tests.live.ports import free_offset
from tests.live.waiting import until

_START_SECONDS = 30
_STOP_SECONDS = 30
_MEMORY_MIB = 256
QUIET_SECONDS = 2.0
"""Longer than batch processor and exporter hold anything back."""
_EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"

Span = tuple[str, str]
"""The ids of a trace and of a span in it, as hex."""


@dataclass(frozen=True)
class Running:
    """A collector that runs, and what has come out of it."""

    url: str
    """Of its OTLP receiver over HTTP."""
    metrics: str
    pid: int
    arrived: dict[Span, float]
    """When a span arrived, as Unix time in seconds."""

    def send(self, *requests: Mapping[str, Any]) -> None:
        """Sends OTLP requests, one after the other."""
        with httpx.Client(trust_env=False, timeout=30) as client:
            for request in requests:
                client.post(f"{self.url}/v1/traces", json=request).raise_for_status()

    @property
    def resident_mib(self) -> float:
        return processes.resident_mib(self.pid)

    @property
    def cpu_seconds(self) -> float:
        return processes.cpu_seconds(self.pid)


@contextmanager
def running(
    path: Path,
    choice: Choice,
    memory_mib: int = _MEMORY_MIB,
    per_million: int = 1_000_000,
    **changed: Any,
) -> Iterator[Running]:
    """A collector with the traces pipeline of ``choice``; ``changed`` are options of its sampler.

    At the end it is asked to stop, and has then exported everything that it ever will.
    """
    offset = free_offset()
    arrived: dict[Span, float] = {}
    with tempfile.TemporaryDirectory() as folder, receiver(arrived) as exported_to:
        file = Path(folder, "collector.yaml")
        text = documents.collector(DEFAULT_COLLECTOR, per_million, memory_mib, tracing=choice)
        document = _on_this_machine(yaml.safe_load(text), offset, exported_to)
        document["processors"].get(PROCESSOR, {}).update(changed)
        file.write_text(yaml.safe_dump(document))
        log = Path(folder, "log")
        with log.open("w") as output:
            process = subprocess.Popen([path, "--config", file], stdout=output, stderr=output)
        try:
            ready = f"http://127.0.0.1:{13133 + offset}/"
            until("the collector", lambda: _answers(process, ready, log), _START_SECONDS)
            metrics = f"http://127.0.0.1:{8888 + offset}/metrics"
            yield Running(f"http://127.0.0.1:{4318 + offset}", metrics, process.pid, arrived)
        finally:
            process.terminate()
            process.wait(_STOP_SECONDS)


def _on_this_machine(document: dict[str, Any], offset: int, exported_to: int) -> dict[str, Any]:
    """``document`` on 127.0.0.1, on the default ports plus ``offset``."""
    protocols = document["receivers"]["otlp"]["protocols"]
    protocols["grpc"]["endpoint"] = f"127.0.0.1:{4317 + offset}"
    protocols["http"]["endpoint"] = f"127.0.0.1:{4318 + offset}"
    document["extensions"]["health_check"]["endpoint"] = f"127.0.0.1:{13133 + offset}"
    (reader,) = document["service"]["telemetry"]["metrics"]["readers"]
    reader["pull"]["exporter"]["prometheus"] = {"host": "127.0.0.1", "port": 8888 + offset}
    exporter = document["exporters"][f"{compatibility.OTLP_EXPORTER.at(DEFAULT_COLLECTOR)}/jaeger"]
    exporter["endpoint"] = f"127.0.0.1:{exported_to}"
    return document


def _answers(process: subprocess.Popen[bytes], url: str, log: Path) -> bool:
    assert process.poll() is None, f"the collector ended:\n{log.read_text()}"
    try:
        return httpx.get(url, trust_env=False).is_success
    except httpx.HTTPError:
        return False


@contextmanager
def receiver(
    arrived: dict[Span, float], credentials: grpc.ServerCredentials | None = None
) -> Iterator[int]:
    """Notes every span that is exported over gRPC to the port that it returns.

    With TLS if it has ``credentials``.
    """
    lock = threading.Lock()

    def export(request: bytes, _: grpc.ServicerContext) -> bytes:
        now = time.time()
        with lock:
            arrived.update(dict.fromkeys(spans_in(request), now))
        return b""

    class Handler(grpc.GenericRpcHandler):  # type: ignore[misc]
        def service(self, call: grpc.HandlerCallDetails) -> Any:
            return grpc.unary_unary_rpc_method_handler(export) if call.method == _EXPORT else None

    server = grpc.server(ThreadPoolExecutor(4), handlers=[Handler()])
    address = "127.0.0.1:0"
    port: int = (
        server.add_secure_port(address, credentials)
        if credentials
        else server.add_insecure_port(address)
    )
    server.start()
    try:
        yield port
    finally:
        server.stop(grace=1).wait()


def spans_in(request: bytes) -> Sequence[Span]:
    """Of an ExportTraceServiceRequest in protobuf (opentelemetry-proto, trace.proto)."""
    return [
        (parts[1][0].hex(), parts[2][0].hex())
        for resource_spans in fields(request).get(1, [])
        for scope_spans in fields(resource_spans).get(2, [])
        for parts in map(fields, fields(scope_spans).get(2, []))
    ]
