"""What a stack asks of a real OpenSearch or Elasticsearch: before Jaeger, and in a destroy.

curl runs on this machine instead of in a container.
"""

from __future__ import annotations

import itertools
import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from components import _commands, _search_engine
from ktrace.jaeger import Jaeger
from runtime_observability.core import stores, trace_store
from runtime_observability.core.search_engine import UnfitError
from runtime_observability.core.shards import WantedIndices
from runtime_observability.core.support import DEFAULT_JAEGER
from runtime_observability.host.search_engine import Cluster, check
from tests.contract import curl_docker, jaeger_process, spans, tls_proxy
from tests.contract.conftest import ENGINES
from tests.contract.search_engine_node import Node
from tests.contract.tls_proxy import PASSWORD, USER, Proxy
from tests.live.waiting import until

pytestmark = pytest.mark.every_store
PREFIX = "traced-dev-0123456789abcdef"
FOREIGN = "traced-other-0123456789abcdef-jaeger-span-2020-01-31"
HERE, THERE = "of-this-docker", "of-another-docker"
WANTED = WantedIndices(days=7, shards=1, replicas=-1)
SECONDS = 60


class Engine:
    """A node of ``store``, and the cluster as a stack has it: behind the ``proxy``, if any."""

    def __init__(self, store: str, node: Node, proxy: Proxy | None) -> None:
        self.store, self.url = store, node.url
        login = (USER, PASSWORD, proxy.certificates) if proxy else ("", "", "")
        urls = (proxy.url if proxy else node.url,)
        self.cluster = Cluster(store, urls, *login, network="", image="", owner="")

    def ask(self, method: str, path: str, document: Any = None) -> Any:
        answer = httpx.request(method, f"{self.url}{path}", json=document, trust_env=False)
        answer.raise_for_status()
        return answer.json()

    def indices(self) -> set[str]:
        return {each["index"] for each in self.ask("GET", "/_cat/indices?format=json")}

    def shards(self) -> int:
        """With the copies that no node has."""
        health = self.ask("GET", "/_cluster/health")
        return int(health["active_shards"] + health["unassigned_shards"])

    def templates(self) -> set[str]:
        composed = self.ask("GET", "/_index_template")["index_templates"]
        return {*self.ask("GET", "/_template"), *(each["name"] for each in composed)}

    def destroy(self) -> str:
        """Runs what a destroy of the stack runs, and returns what it says."""
        cluster = self.cluster
        values = {"STACK": "dev", "STORE": self.store, "URLS": cluster.urls[0], "PREFIX": PREFIX}
        ran = subprocess.run(
            ["/bin/sh", "-c", _commands.in_turn(["remove_indices.sh"])],
            env={**os.environ, **values, "IMAGE": "", "OWNER": "", "KEEP": "", "NETWORK": ""},
            input=_search_engine.on_stdin(cluster.user, cluster.password, cluster.certificates),
            capture_output=True,
            text=True,
            check=True,
        )
        return ran.stderr


@pytest.fixture(scope="module", params=itertools.product(ENGINES, ("open", "login")), ids="-".join)
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    store, door = request.param
    _, of_lab = ENGINES[store]
    with of_lab.running(of_lab.needed()) as node:
        if door == "open":
            yield Engine(store, node, None)
            return
        with tls_proxy.in_front_of(node.url) as proxy:
            yield Engine(store, node, proxy)
            assert proxy.passed


@pytest.fixture(autouse=True)
def _docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    curl_docker.put_on_path(tmp_path, monkeypatch)
    curl_docker.of_daemon(HERE, monkeypatch)


def test_a_stack_is_marked_and_its_own_daemon_alone_removes_what_it_made(
    engine: Engine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    engine.ask("PUT", f"/{FOREIGN}")
    before = engine.templates()
    for _ in range(2):
        assert check(engine.cluster, PREFIX, DEFAULT_JAEGER, WANTED) == 0
    assert engine.indices() == {FOREIGN}
    assert engine.templates() - before == {f"{PREFIX}-jaeger-mark"}
    assert not capfd.readouterr().err
    _jaeger_writes(engine, tmp_path)
    made = engine.indices() - {FOREIGN}
    assert {name.rpartition("-jaeger-")[0] for name in made} == {PREFIX}
    assert len(engine.templates() - before) > 1

    curl_docker.of_daemon(THERE, monkeypatch)
    assert check(engine.cluster, PREFIX, DEFAULT_JAEGER, WANTED) == 0
    assert f"were last used from another Docker daemon, {HERE}" in capfd.readouterr().err
    curl_docker.of_daemon(HERE, monkeypatch)
    assert "NOT deleted, because a stack of this name and folder" in engine.destroy()
    assert engine.indices() == {FOREIGN, *made}

    curl_docker.of_daemon(THERE, monkeypatch)
    assert engine.destroy() == ""
    assert engine.indices() == {FOREIGN}
    assert engine.templates() == before


def _jaeger_writes(engine: Engine, folder: Path) -> None:
    options = trace_store.search_engine([engine.url], PREFIX, "168h", shards=1, replicas=0)
    store = {engine.store: options}
    with jaeger_process.running(jaeger_process.needed(), store, folder) as process:
        for batch in spans.batches(spans.crowd()):
            jaeger_process.send(process, spans.otlp(batch))
        with Jaeger(process.url) as jaeger:
            until("the service", lambda: spans.CROWD in jaeger.services(), SECONDS)


def test_a_cluster_without_room_for_the_days_is_refused(engine: Engine) -> None:
    needed = stores.shards(WANTED.days, WANTED.shards)
    there = engine.shards()

    def allow(shards: int | None) -> None:
        limit = {"cluster.max_shards_per_node": shards}
        engine.ask("PUT", "/_cluster/settings", {"persistent": limit})

    allow(there + needed)
    assert check(engine.cluster, PREFIX, DEFAULT_JAEGER, WANTED) == 0
    allow(there + needed - 1)
    with pytest.raises(UnfitError, match=f"makes {needed} shards .* room for {needed - 1}"):
        check(engine.cluster, PREFIX, DEFAULT_JAEGER, WANTED)
    allow(None)
    assert check(engine.cluster, PREFIX, DEFAULT_JAEGER, WANTED) == 0


def test_a_cluster_of_the_other_engine_is_named(engine: Engine) -> None:
    (other,) = ENGINES.keys() - {engine.store}
    told = rf"it is {engine.store} \d.*: set traceStore to {engine.store}"
    with pytest.raises(UnfitError, match=told):
        check(replace(engine.cluster, store=other), PREFIX, DEFAULT_JAEGER, WANTED)
