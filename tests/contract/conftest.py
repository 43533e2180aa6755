"""Every store with the same spans."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack

import pytest

from ktrace.jaeger import Jaeger
from ktrace.jaeger import store as stores
from tests.contract import (
    cassandra_process,
    elasticsearch_process,
    jaeger_process,
    opensearch_process,
    recordings,
    spans,
    stacks,
)
from tests.contract.jaeger_process import Process
from tests.fakes.ktrace import Ktrace

_VISIBLE_SECONDS = 60
CASSANDRA = pytest.param("cassandra", marks=pytest.mark.every_store)
ELASTICSEARCH = pytest.param("elasticsearch", marks=pytest.mark.every_store)
ENGINES = {
    "opensearch": (jaeger_process.OPENSEARCH, opensearch_process),
    "elasticsearch": (jaeger_process.ELASTICSEARCH, elasticsearch_process),
}
"""The variable with the URL of each, and what runs the lab's."""


def _has(engine: str) -> bool:
    variable, of_lab = ENGINES[engine]
    return bool(os.environ.get(variable) or of_lab.built())


STORES = (
    "memory",
    "badger",
    *(["opensearch"] if _has("opensearch") else []),
    *([ELASTICSEARCH] if _has("elasticsearch") else []),
    *([CASSANDRA] if cassandra_process.built() else []),
)
"""Those that this machine has: `make contract` builds OpenSearch, Elasticsearch and Cassandra, and
variables can name an OpenSearch and an Elasticsearch."""
KNOWN = {
    "memory": stores.MEMORY,
    "badger": stores.BADGER,
    "opensearch": stores.LUCENE,
    "elasticsearch": stores.of("elasticsearch"),
    "cassandra": stores.CASSANDRA,
}


@pytest.fixture(scope="package")
def processes(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Process]]:
    """A Jaeger with each store that a test is for, by the store's name."""
    file = jaeger_process.needed()
    # OpenSearch lists an operation by the day of the span that had it first: those of today begin.
    of_today = [*recordings.requests(), *spans.hostile(), *spans.others(), *spans.crowd()]
    sent = [*of_today, *recordings.spans(), *stacks.spans()]
    with ExitStack() as stack:
        found = {}
        for name in _stores_of(request.session.items):
            urls = _servers(name, stack)
            folder = tmp_path_factory.mktemp(name)
            found[name] = stack.enter_context(jaeger_process.running(file, name, folder, urls))
        for process in found.values():
            for batch in spans.batches(sent):
                jaeger_process.send(process, spans.otlp(batch))
        for process in found.values():
            _wait_until_visible(process)
        yield found


def _servers(store: str, stack: ExitStack) -> list[str]:
    """Those of a store that has some: until ``stack`` ends, or a variable names them."""
    if store == "cassandra":
        return [stack.enter_context(cassandra_process.running(cassandra_process.needed())).server]
    if store not in ENGINES:
        return []
    variable, of_lab = ENGINES[store]
    return [os.environ.get(variable) or stack.enter_context(of_lab.running(of_lab.needed())).url]


def _stores_of(items: Sequence[pytest.Item]) -> list[str]:
    """Those of the chosen tests, in the order of STORES."""
    chosen = [item.callspec.params.get("process") for item in items if hasattr(item, "callspec")]
    return [name for name in KNOWN if name in chosen]


@pytest.fixture(params=STORES)
def process(request: pytest.FixtureRequest, processes: dict[str, Process]) -> Process:
    return processes[request.param]


@pytest.fixture(params=["known", "unknown"])
def jaeger(request: pytest.FixtureRequest, process: Process) -> Iterator[Jaeger]:
    """A client that has been told the store, and one that has not."""
    told = KNOWN[process.store] if request.param == "known" else stores.UNKNOWN
    with Jaeger(process.url, store=told) as client:
        yield client


@pytest.fixture
def ktrace(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Ktrace:
    return Ktrace(monkeypatch, capfd)


def _wait_until_visible(process: Process) -> None:
    deadline = time.monotonic() + _VISIBLE_SECONDS
    with Jaeger(process.url, store=KNOWN[process.store]) as jaeger:
        while True:
            crowd, _ = jaeger.find_all(
                spans.CROWD, start=spans.NOW - spans.HOUR, end=spans.NOW + spans.HOUR, most=10_000
            )
            missing = recordings.missing(jaeger)
            if len(crowd) == spans.IN_THE_CROWD and not missing:
                return
            assert time.monotonic() < deadline, (process.store, len(crowd), missing)
            time.sleep(0.5)
