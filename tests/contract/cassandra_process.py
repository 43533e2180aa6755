"""The lab's Cassandra as a process of this machine's Java, for the time of the tests."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lab.build import cassandra
from tests.contract import java_server
from tests.contract.jaeger_process import free_ports
from tests.contract.java_server import Server

FIRST_USER = "cassandra"
"""Of a Cassandra with a login, and its password."""
HEAP_MIB = 512
_START_SECONDS = 180
LISTENS = "Starting listening for CQL clients"


@dataclass(frozen=True)
class File:
    """A setting that names a file with ``content``."""

    name: str
    content: bytes


@dataclass(frozen=True, kw_only=True)
class Node(Server):
    """A Cassandra that runs: HOST:PORT for its clients."""

    server: str


def built() -> Path | None:
    return java_server.built(cassandra.cassandra)


def needed() -> Path:
    return java_server.needed(cassandra.cassandra, "Cassandra")


@contextmanager
def running(built: Path, more: Mapping[str, Any] | None = None) -> Iterator[Node]:
    """An empty Cassandra of one node, ended and removed at the end.

    ``more`` are further settings; by default it has no login and no TLS.
    """
    with java_server.copied(built) as home:
        client, storage = free_ports(2)
        written = home / "cassandra.yaml"
        addresses = {"listen_address": "127.0.0.1", "rpc_address": "127.0.0.1"}
        chosen = settings("127.0.0.1", client, storage) | addresses | _with_files(more or {}, home)
        written.write_text(yaml.safe_dump(chosen))
        arguments = cassandra.arguments(str(home), str(written), str(home), HEAP_MIB)
        with java_server.started(home, arguments) as process:
            node = Node(server=f"127.0.0.1:{client}", process=process, home=home)
            _wait(node)
            yield node


def _with_files(settings: Mapping[str, Any], home: Path) -> dict[str, Any]:
    """``settings`` with the paths of their files, which are written."""
    found = dict(settings)
    for key, value in settings.items():
        if isinstance(value, Mapping):
            found[key] = _with_files(value, home)
        elif isinstance(value, File):
            (home / value.name).write_bytes(value.content)
            found[key] = str(home / value.name)
    return found


def settings(host: str, client: int, storage: int) -> dict[str, Any]:
    """Of a cluster of one node, which is ``host``, but for the addresses that it listens on."""
    seeds = [{"seeds": f"{host}:{storage}"}]
    return {
        "cluster_name": "runtime-observability-lab",
        "num_tokens": 1,
        "partitioner": "org.apache.cassandra.dht.Murmur3Partitioner",
        "endpoint_snitch": "SimpleSnitch",
        "commitlog_sync": "periodic",
        "commitlog_sync_period": "10s",
        "storage_port": storage,
        "native_transport_port": client,
        "seed_provider": [
            {"class_name": "org.apache.cassandra.locator.SimpleSeedProvider", "parameters": seeds}
        ],
    }


def _wait(node: Node) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while node.process.poll() is None and time.monotonic() < deadline:
        if LISTENS in node.log.read_text(errors="replace"):
            return
        time.sleep(0.5)
    raise AssertionError(f"Cassandra has not started:\n{node.log.read_text()[-3000:]}")
