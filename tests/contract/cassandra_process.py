"""The lab's Cassandra as a process of this machine's Java, for the time of the tests."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.build import cassandra
from lab.paths import Cache
from tests.contract.jaeger_process import free_ports

FIRST_USER = "cassandra"
"""Of a Cassandra with a login, and its password."""
HEAP_MIB = 512
_START_SECONDS = 180
LISTENS = "Starting listening for CQL clients"
_NOBODY = 65534


@dataclass(frozen=True)
class File:
    """A setting that names a file with ``content``."""

    name: str
    content: bytes


@dataclass(frozen=True)
class Node:
    """A Cassandra that runs: HOST:PORT for its clients, and where its files are."""

    server: str
    process: subprocess.Popen[bytes]
    home: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def data(self) -> Path:
        return self.home / "data"

    @property
    def log(self) -> Path:
        return self.home / "log"


def built() -> Path | None:
    """The folder of the lab's Cassandra; None where it is not built, or no Java can run it."""
    folder = cassandra.cassandra.output(Cache.of_this_user())
    return folder if folder.is_dir() and shutil.which("java") else None


def needed() -> Path:
    """Like ``built``; without one the test fails in CI and is skipped elsewhere."""
    if found := built():
        return found
    told = "no Cassandra: `make contract` builds the lab's"
    if os.environ.get("CI"):
        pytest.fail(told)
    pytest.skip(told)


@contextmanager
def running(built: Path, more: Mapping[str, Any] | None = None) -> Iterator[Node]:
    """An empty Cassandra of one node, ended and removed at the end.

    ``more`` are further settings; by default it has no login and no TLS.
    """
    # Not in a folder of pytest's: those are closed to the user that runs it.
    with tempfile.TemporaryDirectory(prefix="cassandra-") as folder:
        home = Path(folder) / "home"
        shutil.copytree(built, home)
        client, storage = free_ports(2)
        written = home / "cassandra.yaml"
        addresses = {"listen_address": "127.0.0.1", "rpc_address": "127.0.0.1"}
        chosen = settings("127.0.0.1", client, storage) | addresses | _with_files(more or {}, home)
        written.write_text(yaml.safe_dump(chosen))
        user = _NOBODY if os.geteuid() == 0 else None
        if user is not None:
            for path in (Path(folder), home, *home.rglob("*")):
                os.chown(path, user, user)
        command = ["java", *cassandra.arguments(str(home), str(written), str(home), HEAP_MIB)]
        with (
            (home / "log").open("wb") as stream,
            subprocess.Popen(
                command, cwd=home, user=user, group=user, stdout=stream, stderr=subprocess.STDOUT
            ) as process,
        ):
            try:
                node = Node(f"127.0.0.1:{client}", process, home)
                _wait(node)
                yield node
            finally:
                process.terminate()


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
