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

from lab.build import opensearch
from tests.contract import java_server
from tests.contract.jaeger_process import free_ports
from tests.contract.java_server import NOBODY, Server

_START_SECONDS = 180


@dataclass(frozen=True, kw_only=True)
class Node(Server):
    """An OpenSearch that runs: the URL of its API."""

    name: str
    url: str


def built() -> Path | None:
    return java_server.built(opensearch.opensearch)


def needed() -> Path:
    return java_server.needed(opensearch.opensearch, "OpenSearch")


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
        user = NOBODY if os.geteuid() == 0 else None
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
                yield Node(name=name, url=f"http://127.0.0.1:{http}", process=process, home=home)
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
