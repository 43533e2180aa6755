"""The lab's OpenSearch as processes of this machine's Java, for the time of the tests."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from lab.build import opensearch
from lab.paths import Cache
from tests.contract.jaeger_process import free_ports

_START_SECONDS = 180
_NOBODY = 65534
"""OpenSearch refuses to run as root."""


@dataclass(frozen=True)
class Node:
    """An OpenSearch that runs: the URL of its API, and where its files are."""

    name: str
    url: str
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
    """The folder of the lab's OpenSearch; None where it is not built, or no Java can run it."""
    folder = opensearch.opensearch.output(Cache.of_this_user())
    return folder if folder.is_dir() and shutil.which("java") else None


def needed() -> Path:
    """Like ``built``; without one the test fails in CI and is skipped elsewhere."""
    if found := built():
        return found
    told = "no OpenSearch: `make contract` builds the lab's"
    if os.environ.get("CI"):
        pytest.fail(told)
    pytest.skip(told)


@contextmanager
def running(built: Path) -> Iterator[Node]:
    """An empty OpenSearch, ended and removed at the end."""
    http, transport = free_ports(2)
    with _started(built, "only", http, transport, {}) as node:
        _wait(node, "")
        yield node


@contextmanager
def cluster(built: Path, number: int) -> Iterator[list[Node]]:
    """``number`` nodes of one empty cluster, each of which may become its manager."""
    ports = free_ports(2 * number)
    https, transports = ports[:number], ports[number:]
    names = [f"node-{index}" for index in range(1, number + 1)]
    settings = {
        "discovery.type": "zen",
        "discovery.seed_hosts": ",".join(f"127.0.0.1:{port}" for port in transports),
        "cluster.initial_cluster_manager_nodes": ",".join(names),
    }
    with ExitStack() as stack:
        nodes = [
            stack.enter_context(_started(built, name, http, transport, settings))
            for name, http, transport in zip(names, https, transports, strict=True)
        ]
        for node in nodes:
            _wait(node, f"?wait_for_nodes={number}&timeout=1s")
        yield nodes


@contextmanager
def _started(
    built: Path, name: str, http: int, transport: int, settings: Mapping[str, str]
) -> Iterator[Node]:
    # Not in a folder of pytest's: those are closed to the user that runs it.
    with tempfile.TemporaryDirectory(prefix="opensearch-") as folder:
        home = Path(folder) / "home"
        shutil.copytree(built, home)
        (home / "temporary").mkdir()
        user = _NOBODY if os.geteuid() == 0 else None
        if user is not None:
            for path in (Path(folder), *Path(folder).rglob("*")):
                os.chown(path, user, user)
        chosen = {
            **settings,
            "node.name": name,
            "http.host": "127.0.0.1",
            "transport.host": "127.0.0.1",
            "http.port": http,
            "transport.port": transport,
        }
        command = [
            "java",
            "-Xms512m",
            "-Xmx512m",
            *opensearch.OPTIONS,
            f"-Djava.io.tmpdir={home}/temporary",
            f"-Dopensearch.path.home={home}",
            f"-Dopensearch.path.conf={home}/config",
            "-cp",
            f"{home}/lib/*",
            opensearch.MAIN,
            *(f"-E{key}={value}" for key, value in chosen.items()),
        ]
        with (
            (home / "log").open("wb") as stream,
            subprocess.Popen(
                command, cwd=home, user=user, group=user, stdout=stream, stderr=subprocess.STDOUT
            ) as process,
        ):
            try:
                yield Node(name, f"http://127.0.0.1:{http}", process, home)
            finally:
                process.terminate()


def _wait(node: Node, query: str) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while node.process.poll() is None and time.monotonic() < deadline:
        try:
            if httpx.get(f"{node.url}/_cluster/health{query}", trust_env=False).is_success:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.5)
    raise AssertionError(f"OpenSearch has not started:\n{node.log.read_text()[-3000:]}")
