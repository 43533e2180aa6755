"""Collectors with a stack's configuration on 127.0.0.1, and the spans that they are sent."""

from __future__ import annotations

import hashlib
import re
import socket
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import yaml

from runtime_observability.core import container_log, destinations, documents
from tests import collector
from tests.configuration import parsed
from tests.live.waiting import until

MIB = 1024 * 1024
HERE = "destination.example"
"""In place of 127.0.0.1, which is refused: it would be the collector's container."""


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
        until(f"a collector ({self.folder / 'log'})", self._is_ready, 30)

    def _is_ready(self) -> bool:
        assert self.process
        ended = self.process.poll() is not None
        assert not ended, (self.folder / "log").read_text()
        try:
            return httpx.get(f"http://127.0.0.1:{self.ports[2]}/", timeout=1).status_code == 200
        except httpx.HTTPError:
            return False

    def kill(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()

    def counted(self, name: str, exporter: str = "") -> int:
        """The sum of a counter, of an exporter's where one is named."""
        text = httpx.get(f"http://127.0.0.1:{self.ports[3]}/metrics", timeout=5).text
        lines = re.findall(rf"^otelcol_{name}(?:_total)?(.*) (\S+)$", text, re.M)
        return sum(int(float(value)) for labels, value in lines if f'{exporter}"' in labels)

    def error_of(self, exporter: str) -> str:
        """The last one that was logged, as ``ktrace verify`` tells it; empty without any."""
        log = (self.folder / "log").read_text()
        return container_log.errors_of_exporters(log).get(exporter, "")

    def post(self, signal: str, body: bytes, kind: str = "application/x-protobuf") -> int:
        url = f"http://127.0.0.1:{self.ports[1]}/v1/{signal}"
        return httpx.post(url, content=body, headers={"Content-Type": kind}).status_code


@dataclass
class Collectors:
    """Those that a test starts."""

    folder: Path
    started: list[Collector] = field(default_factory=list)

    def __call__(
        self, jaeger: Collector | None = None, *, queue_mib: int = 0, **settings: Any
    ) -> Collector:
        """One with the configuration of a stack with these settings.

        ``queue_mib`` is how large its queues on disk are, if not as large as those of a stack.
        """
        parse = parsed(**settings)
        text = documents.collector(
            parse.collector_version,
            1_000_000,
            parse.collector_memory_mib,
            exporters=parse.exporters,
            allowed_origins=parse.allowed_origins,
            to_jaeger=parse.has_jaeger,
        )
        if queue_mib:
            size = f"queue_size: {destinations.DISK_QUEUE_MIB * MIB}"
            assert size in text
            text = text.replace(size, f"queue_size: {queue_mib * MIB}")
        if not jaeger and parse.has_jaeger:
            text = _that_drops(text)
        files = destinations.files(parse.exporters) | destinations.secret_files(parse.exporters)
        named = {Path(path).name: content for path, content in files.items()}
        return self.of(text, named, jaeger)

    def of(self, text: str, files: Mapping[str, str], jaeger: Collector | None) -> Collector:
        """One with the configuration ``text``, beside which ``files`` are, by their names."""
        folder = self.folder / str(len(self.started))
        (folder / "queues").mkdir(parents=True)
        ports = (free_port(), free_port(), free_port(), free_port())
        for at, port in zip(("0.0.0.0:4317", "0.0.0.0:4318", "0.0.0.0:13133"), ports, strict=False):
            text = text.replace(at, f"127.0.0.1:{port}")
        text = text.replace("host: 0.0.0.0", "host: 127.0.0.1").replace(
            "port: 8888", f"port: {ports[3]}"
        )
        text = text.replace(HERE, "127.0.0.1").replace(destinations.FOLDER, str(folder))
        text = text.replace(destinations.QUEUE_FOLDER, str(folder / "queues"))
        if jaeger:
            text = text.replace("jaeger:4318", f"127.0.0.1:{jaeger.ports[1]}")
        for name, content in files.items():
            (folder / name).write_text(content)
        (folder / "config.yaml").write_text(text)
        self.started.append(Collector(folder, ports))
        self.started[-1].start()
        return self.started[-1]

    def kill(self) -> None:
        for each in self.started:
            each.kill()


def _that_drops(text: str) -> str:
    """Stands for Jaeger, with the message size that gRPC servers have by themselves."""
    document = yaml.safe_load(text)
    del document["receivers"]["otlp"]["protocols"]["grpc"]["max_recv_msg_size_mib"]
    document["exporters"] = {"nop": {}}
    for pipeline in document["service"]["pipelines"].values():
        pipeline["exporters"] = ["nop"]
    return yaml.safe_dump(document)


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
