"""Real Jaegers on 127.0.0.1, each with one kind of store."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

from ktrace.jaeger import Jaeger, JaegerError
from lab.build import programs
from lab.paths import Cache
from runtime_observability.core import trace_store
from tests import lacking

PROGRAM = "RUNTIME_OBSERVABILITY_JAEGER"
"""The variable with the file of a Jaeger v2; without it the lab's is taken, if it is built."""
OPENSEARCH = "RUNTIME_OBSERVABILITY_OPENSEARCH"
"""The variable with the URL of an OpenSearch; without it the lab's runs, if it is built. The tests
write indices of their own prefix."""
ELASTICSEARCH = "RUNTIME_OBSERVABILITY_ELASTICSEARCH"
"""The same of an Elasticsearch."""
MOST_TRACES = 2_500
"""The memory store of the tests holds so many."""
_START_SECONDS = 60
_STOP_SECONDS = 30


@dataclass(frozen=True)
class Process:
    """A Jaeger that runs: the URLs of its API and of OTLP over HTTP."""

    store: str
    url: str
    otlp: str
    pid: int
    log: Path


@dataclass(frozen=True)
class Size:
    """What a store is made for."""

    traces: int = MOST_TRACES
    """The memory store holds so many."""
    shards: int = 1
    replicas: int = 0
    """Of each of OpenSearch's indices."""


def program() -> Path | None:
    named = os.environ.get(PROGRAM) or shutil.which("jaeger")
    built = programs.jaeger.output(Cache.of_this_user()) / "jaeger"
    return Path(named) if named else built if built.is_file() else None


def needed() -> Path:
    """Its path; without one the test fails in CI and is skipped elsewhere."""
    found = program()
    if found is None:
        lacking.refuse(f"no Jaeger: build the lab's, or name one with {PROGRAM}")
    return found


def backend(store: str, folder: Path, servers: Sequence[str], size: Size) -> dict[str, Any]:
    """A store's part of Jaeger's configuration; the store is empty."""
    if store == "memory":
        return {"memory": {"max_traces": size.traces}}
    if store == "badger":
        directories = {"keys": f"{folder}/keys", "values": f"{folder}/values"}
        # The recordings are from long ago, and a store counts from when a span arrives.
        return {"badger": {"directories": directories, "ephemeral": False, "ttl": {"spans": "48h"}}}
    if store == "cassandra":
        keyspace = f"contract_{os.getpid()}"
        return {"cassandra": trace_store.cassandra(servers, keyspace, "48h", copies=1)}
    index = {"shards": size.shards, "replicas": size.replicas}
    kinds = ("spans", "services", "dependencies", "sampling")
    indices = {"index_prefix": f"contract-{os.getpid()}", **dict.fromkeys(kinds, index)}
    return {store: {"server_urls": list(servers), "indices": indices}}


@contextmanager
def running(
    file: Path,
    store: str | Mapping[str, Any],
    folder: Path,
    servers: Sequence[str] = (),
    size: Size = Size(),
) -> Iterator[Process]:
    """A Jaeger of the program ``file``, ended at the end.

    ``store`` is a name, or the store's part of the configuration. ``folder`` has no file of
    Jaeger's; ``servers`` are the nodes of OpenSearch or Cassandra to use.
    """
    own = backend(store, folder, servers, size) if isinstance(store, str) else dict(store)
    http, grpc, otlp, health = free_ports(4)
    configuration = {
        "receivers": {"otlp": {"protocols": {"http": {"endpoint": f"127.0.0.1:{otlp}"}}}},
        "exporters": {"jaeger_storage_exporter": {"trace_storage": "main"}},
        "extensions": {
            "jaeger_storage": {"backends": {"main": own}},
            "jaeger_query": {
                "storage": {"traces": "main"},
                "enable_tracing": False,
                "http": {"endpoint": f"127.0.0.1:{http}"},
                "grpc": {"endpoint": f"127.0.0.1:{grpc}"},
            },
            "healthcheckv2": {"use_v2": True, "http": {"endpoint": f"127.0.0.1:{health}"}},
        },
        "service": {
            "extensions": ["jaeger_storage", "jaeger_query", "healthcheckv2"],
            "telemetry": {"metrics": {"level": "none"}},
            "pipelines": {
                "traces": {"receivers": ["otlp"], "exporters": ["jaeger_storage_exporter"]}
            },
        },
    }
    written, log = folder / "jaeger.yaml", folder / "jaeger.log"
    written.write_text(yaml.safe_dump(configuration))
    with (
        log.open("wb") as stream,
        subprocess.Popen(
            [file, "--config", written], stdout=stream, stderr=subprocess.STDOUT
        ) as process,
    ):
        try:
            url = f"http://127.0.0.1:{http}"
            _wait(url, otlp, process, log)
            yield Process(next(iter(own)), url, f"http://127.0.0.1:{otlp}", process.pid, log)
        finally:
            process.terminate()
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                # It waits for an OpenSearch that does not answer.
                process.kill()


def send(process: Process, document: Mapping[str, Any]) -> None:
    """Sends spans as OTLP, and expects that all are taken."""
    answer = httpx.post(f"{process.otlp}/v1/traces", json=document, timeout=30, trust_env=False)
    assert answer.status_code == 200, answer.text
    assert not answer.json().get("partialSuccess"), answer.text


def _wait(url: str, otlp: int, process: subprocess.Popen[bytes], log: Path) -> None:
    """Until it answers, and takes spans: it does that last."""
    deadline = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with Jaeger(url) as jaeger:
                jaeger.services()
            socket.create_connection(("127.0.0.1", otlp)).close()
        except (JaegerError, OSError):
            time.sleep(0.2)
        else:
            return
    raise AssertionError(f"Jaeger has not started:\n{log.read_text()[-3000:]}")


def free_ports(number: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [listener.getsockname()[1] for listener in sockets]
    for listener in sockets:
        listener.close()
    return ports
