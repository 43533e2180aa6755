"""How many days of indices an OpenSearch or Elasticsearch lets Jaeger name at once."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from runtime_observability.core import search_engine, stores, trace_store
from runtime_observability.core.naming import Names
from runtime_observability.core.search_engine import Answer, UnfitError
from tests.contract import jaeger_process, opensearch_process
from tests.contract.conftest import ENGINES
from tests.contract.search_engine_node import Node

pytestmark = pytest.mark.every_store
LONGEST = Names("a-name-of-the-longest-kind-that-there-is", Path("/tmp")).index_prefix  # noqa: S108
YEAR = 365


def serves(engine: str, node: Node, folder: Path, days: int) -> None:
    """A Jaeger whose lines are too long answers its services with 500, and never is ready."""
    options = trace_store.search_engine([node.url], LONGEST, f"{days * 24}h", shards=1, replicas=0)
    with jaeger_process.running(jaeger_process.needed(), {engine: options}, folder):
        pass


def check(node: Node, days: int) -> None:
    """What an up does before Jaeger; it is curl that asks there."""
    path = search_engine.services(LONGEST, datetime.now(UTC).date(), days)
    found = httpx.post(f"{node.url}{path}", trust_env=False)
    search_engine.refuse_a_long_line(Answer(found.text, found.status_code, 0, ""), path, days)
    assert found.is_success


@pytest.mark.parametrize("engine", ENGINES)
def test_more_days_than_a_cluster_takes_are_refused_with_how_many_it_takes(
    engine: str, tmp_path: Path
) -> None:
    _, of_lab = ENGINES[engine]
    with of_lab.running(of_lab.needed()) as node:
        with pytest.raises(UnfitError) as refused:
            check(node, YEAR)
        told = re.search(r"it takes 4096 bytes: use (\d+)d", str(refused.value))
        assert told
        days = int(told[1])
        check(node, days)
        with pytest.raises(UnfitError):
            check(node, days + 5)
        serves(engine, node, tmp_path, days)


def test_a_stacks_own_node_takes_the_longest_retention_of_the_longest_name(tmp_path: Path) -> None:
    line = "http.max_initial_line_length"
    settings = {line: stores.own_environment(512)[line]}
    with opensearch_process.running(opensearch_process.needed(), settings) as node:
        check(node, YEAR)
        serves("opensearch", node, tmp_path, YEAR)
