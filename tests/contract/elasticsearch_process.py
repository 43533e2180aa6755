"""The lab's Elasticsearch as a process of this machine's Java, for the time of the tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lab.build import elasticsearch
from tests.contract import java_server
from tests.contract.jaeger_process import free_ports
from tests.contract.search_engine_node import Node

_HEAP_MIB = 512


def built() -> Path | None:
    return java_server.built(elasticsearch.elasticsearch)


def needed() -> Path:
    return java_server.needed(elasticsearch.elasticsearch, "Elasticsearch")


@contextmanager
def running(built: Path) -> Iterator[Node]:
    """An empty Elasticsearch of one node, ended and removed at the end."""
    http, transport = free_ports(2)
    with java_server.copied(built) as home:
        files = home / "files"
        files.mkdir()
        settings = {
            "http.host": "127.0.0.1",
            "transport.host": "127.0.0.1",
            "http.port": http,
            "transport.port": transport,
        }
        arguments = [
            *elasticsearch.arguments(str(home), str(files), _HEAP_MIB),
            *(f"{name}={value}" for name, value in settings.items()),
        ]
        with java_server.started(home, arguments) as process:
            node = Node(name="only", url=f"http://127.0.0.1:{http}", process=process, home=home)
            node.wait()
            yield node
