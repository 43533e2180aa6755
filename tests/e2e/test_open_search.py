"""Traces in OpenSearch: in a node of the stack's own, and in a cluster that exists."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from runtime_observability.core import prefix_mark, retention
from runtime_observability.core.naming import Names
from tests.e2e import search_engine
from tests.e2e.kept import destroy_and_find_again
from tests.e2e.ktrace import document, of_spans, shown, whole
from tests.e2e.search_engine import FOREIGN, OLD, Elsewhere
from tests.live import traces
from tests.live.pods import pods
from tests.live.stack import Stack
from tests.live.starts import boot_of
from tests.live.waiting import until

STORE = {"traceStore": "opensearch", "traceRetention": "365d"}
ANSWER_SECONDS = 180
"""OpenSearch starts in 15 to 40 s, and later on a busy machine; Docker starts a Jaeger that found
none again and again, up to a minute apart."""


@pytest.fixture
def opensearch(stack: Stack) -> Iterator[Stack]:
    """The default stack with another store; its volume goes with the test."""
    search_engine.refuse_a_lab_without_opensearch(stack)
    nodes = stack.docker.containers(f"label=k3d.cluster={stack.cluster}")
    stack.settle(**STORE)
    assert stack.docker.containers(f"label=k3d.cluster={stack.cluster}") == nodes
    yield stack
    stack.settle(**STORE)
    stack.settle()
    assert not stack.docker.volumes(f"name=traced-{stack.name}-traces")
    assert not stack.docker.exists(node(stack))


def node(stack: Stack) -> str:
    return f"traced-{stack.name}-opensearch"


def last_line(stack: Stack) -> str:
    """Of what has looked for old indices."""
    return stack.docker("logs", "--tail", "1", stack.retention).strip()


def answers(stack: Stack) -> None:
    until("an answer from Jaeger", lambda: traces.answers(stack.jaeger_url), ANSWER_SECONDS)


def test_traces_outlive_jaeger_opensearch_and_then_the_cluster(opensearch: Stack) -> None:
    stack = opensearch
    container = stack.docker.inspect(node(stack))
    assert not container["HostConfig"]["PortBindings"]
    assert list(container["NetworkSettings"]["Networks"]) == [stack.cluster]
    keeper = stack.docker.inspect(stack.retention)
    assert not keeper["HostConfig"]["PortBindings"]
    until("a look at the indices", lambda: "kept: nothing is older" in last_line(stack), 60)
    assert document(stack, "verify")["retentionFault"] == ""
    stack.expect_no_changes()
    stack.docker("rm", "--force", stack.retention)
    assert f"there is no container {stack.retention}" in document(stack, "verify")["retentionFault"]
    stack.up()
    assert stack.docker.inspect(stack.retention)["State"]["Running"]
    stack.expect_no_changes()
    with pods(stack, "sleep", "300") as single:
        pod = f"{single.name}-0"
        shown(stack, pod, whole)
        # What has arrived may be invisible for a while: this waits until nothing more comes.
        before = document(stack, "show", pod)
        for restarted in (stack.jaeger, node(stack)):
            stack.docker("restart", "--time", "60", restarted)
            answers(stack)
            assert of_spans(shown(stack, pod, whole)) == of_spans(before)
    document(stack, "verify")

    volume = f"traced-{stack.name}-traces-opensearch"
    destroy_and_find_again(stack, STORE, volume, pod, before)
    # OpenSearch and then Jaeger have started beside the cluster, and later than it.
    assert boot_of(stack, "apiserver")


# --- a cluster that exists ------------------------------------------------------------------------


@pytest.fixture
def elsewhere(stack: Stack) -> Iterator[Elsewhere]:
    with search_engine.opensearch(stack) as found:
        yield found


@pytest.mark.every_store
def test_a_cluster_that_exists_has_the_stacks_own_indices_and_no_others(
    stack: Stack, elsewhere: Elsewhere, neighbour: Stack
) -> None:
    prefix = Names(stack.name, stack.folder).index_prefix
    expired = f"{prefix}-jaeger-span-{OLD}"
    impossible = f"{prefix}-jaeger-none-2020-02-30"
    for index in (expired, impossible, FOREIGN, f"near-{expired}"):
        assert "acknowledged" in elsewhere.ask("PUT", f"/{index}")
    stays = {FOREIGN} | {name for name in elsewhere.indices() if not name.startswith(prefix)}
    jaeger = stack.docker.inspect(stack.jaeger)["Id"]
    closed = elsewhere.url.replace(":9200", ":9201")
    for settings, reason in (
        (elsewhere.settings(closed), f"{closed}: nothing answers there"),
        (
            {**elsewhere.settings(), **STORE},
            "traceRetention 365d is too long for it: Jaeger names each day's",
        ),
    ):
        stack.configure(**settings)
        refused = stack.refused_up()
        assert f"error: traceStore opensearch: {reason}" in refused.said
        assert stack.docker.inspect(stack.jaeger)["Id"] == jaeger, "the old one goes on"

    stack.settle(**elsewhere.settings())
    stack.expect_no_changes()
    with pods(stack, "sleep", "600") as single:
        pod = f"{single.name}-0"
        shown(stack, pod, whole)
        start = document(stack, "show", pod)
        until("the old index to go", lambda: expired not in elsewhere.indices(), 60)
        assert last_line(stack) == f"kept: deleted {expired}"
        assert impossible in elsewhere.indices(), "that day was none"
        own = elsewhere.indices() - stays
        assert any(index.startswith(f"{prefix}-jaeger-span-") for index in own)
        assert all(index.startswith(f"{prefix}-jaeger-") for index in own)
        replicas = json.loads(elsewhere.ask("GET", f"/{prefix}-jaeger-span-*/_settings"))
        assert {
            index["settings"]["index"]["number_of_replicas"] for index in replicas.values()
        } == {"0"}

        # Another stack in the same cluster, with a pod of the same name.
        stack.docker("network", "connect", neighbour.cluster, elsewhere.name)
        neighbour.settle(**elsewhere.settings())
        with pods(neighbour, "sleep", "600", name=single.name):
            assert shown(neighbour, pod, whole)["uid"] != start["uid"]
            assert of_spans(document(stack, "show", pod)) == of_spans(start), "its own pod alone"
        assert elsewhere.indices() > stays | own
        neighbour.settle()
        assert elsewhere.indices() == stays | own
        assert of_spans(document(stack, "show", pod)) == of_spans(start)

    stack.settle()
    assert elsewhere.indices() == stays
    assert not [name for name in elsewhere.templates() if name.startswith(prefix)]


@pytest.mark.every_store
def test_a_cluster_without_room_for_the_days_is_refused(stack: Stack, elsewhere: Elsewhere) -> None:
    jaeger = stack.docker.inspect(stack.jaeger)["Id"]
    there = len(elsewhere.indices())

    def allow(shards: int) -> None:
        limit = {"persistent": {"cluster.max_shards_per_node": str(shards)}}
        assert "acknowledged" in elsewhere.ask("PUT", "/_cluster/settings", json.dumps(limit))

    allow(15 + there)
    stack.configure(**elsewhere.settings())
    refused = " ".join(stack.refused_up().said.split())
    assert "traceRetention 7d makes 16 shards (2 indices a day, traceStoreShards 1" in refused
    assert f"it has room for 15: it takes {15 + there} (cluster.max_shards_per_node)" in refused
    assert "set traceRetention to 6d, or raise that setting" in refused
    assert stack.docker.inspect(stack.jaeger)["Id"] == jaeger, "the old one goes on"
    allow(16 + there)
    stack.up()


@pytest.mark.every_store
def test_indices_that_another_docker_has_used_last_are_left(
    stack: Stack, elsewhere: Elsewhere
) -> None:
    prefix, other = Names(stack.name, stack.folder).index_prefix, "another-docker"

    def own() -> list[str]:
        return [name for name in elsewhere.indices() if name.startswith(prefix)]

    stack.settle(**elsewhere.settings())
    until("an index of the stack", own, ANSWER_SECONDS)
    mark = prefix_mark.document(prefix, other)
    assert "acknowledged" in elsewhere.ask("PUT", prefix_mark.path(prefix), mark)
    stack.configure()
    said = " ".join(stack.up().said.split())
    assert "were NOT deleted, because a stack of this name and folder has used them last" in said
    assert f"another Docker daemon, {other}" in said
    assert own()
    stack.configure(**elsewhere.settings())
    told = f"indices {prefix}-jaeger-* were last used from another Docker daemon, {other}"
    assert told in " ".join(stack.up().said.split())
    stack.configure()
    stack.up()
    assert own() == []


@pytest.mark.every_store
def test_a_cluster_that_is_gone_keeps_no_stack_from_leaving_it(
    stack: Stack, elsewhere: Elsewhere
) -> None:
    stack.settle(**elsewhere.settings())
    stack.docker("kill", elsewhere.name)
    stack.docker("restart", stack.retention)
    until("a failure", lambda: retention.fault(last_line(stack)), 90)
    assert elsewhere.url in document(stack, "verify", code=1)["retentionFault"]
    stack.configure()
    said = stack.up().said
    prefix = Names(stack.name, stack.folder).index_prefix
    assert f"indices and templates {prefix}-jaeger-* of opensearch at {elsewhere.url}" in said
    assert "were NOT deleted" in said
