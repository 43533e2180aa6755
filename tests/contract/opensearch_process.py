"""The lab's OpenSearch as processes of this machine's Java, for the time of the tests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from lab.build import opensearch
from tests.contract import java_server
from tests.contract.jaeger_process import free_ports
from tests.contract.search_engine_node import Node


def built() -> Path | None:
    return java_server.built(opensearch.opensearch)


def needed() -> Path:
    return java_server.needed(opensearch.opensearch, "OpenSearch")


@contextmanager
def running(built: Path, settings: Mapping[str, str] | None = None) -> Iterator[Node]:
    """An empty OpenSearch, ended and removed at the end."""
    http, transport = free_ports(2)
    with _started(built, "only", http, transport, settings or {}) as node:
        node.wait()
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
            node.wait(f"?wait_for_nodes={number}&timeout=1s")
        yield nodes


@contextmanager
def _started(
    built: Path, name: str, http: int, transport: int, settings: Mapping[str, str]
) -> Iterator[Node]:
    with java_server.copied(built) as home:
        (home / "temporary").mkdir()
        chosen = {
            **settings,
            "node.name": name,
            "http.host": "127.0.0.1",
            "transport.host": "127.0.0.1",
            "http.port": http,
            "transport.port": transport,
        }
        arguments = [
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
        with java_server.started(home, arguments) as process:
            yield Node(name=name, url=f"http://127.0.0.1:{http}", process=process, home=home)
