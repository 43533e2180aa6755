"""A stack's own OpenSearch keeps traces when it or Jaeger restarts, and when the stack goes."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from lab.build import images
from tests.e2e.ktrace import document, of_spans, shown, whole
from tests.live import traces
from tests.live.pods import pods, wait_for_api
from tests.live.stack import Stack
from tests.live.starts import boot_of
from tests.live.waiting import until

STORE = {"traceStore": "opensearch", "traceRetention": "7d"}
ANSWER_SECONDS = 180
"""OpenSearch starts in 15 to 40 s, and later on a busy machine; Docker starts a Jaeger that found
none again and again, up to a minute apart."""


@pytest.fixture
def opensearch(stack: Stack) -> Iterator[Stack]:
    """The default stack with another store; its volume goes with the test."""
    refuse_a_lab_without_it(stack)
    nodes = stack.docker.containers(f"label=k3d.cluster={stack.cluster}")
    stack.settle(**STORE)
    assert stack.docker.containers(f"label=k3d.cluster={stack.cluster}") == nodes
    yield stack
    stack.settle(**STORE)
    stack.settle()
    assert not stack.docker.volumes(f"name=traced-{stack.name}-traces")
    assert not stack.docker.exists(node(stack))


def refuse_a_lab_without_it(stack: Stack) -> None:
    """The lab's image is built where there is Maven: without it, this fails in CI alone."""
    built = stack.config.get("openSearchImage", "")
    if built.startswith(images.PREFIX) and not stack.docker.exists(built):
        reason = f"there is no {built}: install Maven, and run `make test`"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)


def node(stack: Stack) -> str:
    return f"traced-{stack.name}-opensearch"


def answers(stack: Stack) -> None:
    until("an answer from Jaeger", lambda: traces.answers(stack.jaeger_url), ANSWER_SECONDS)


def test_traces_outlive_jaeger_opensearch_and_then_the_cluster(opensearch: Stack) -> None:
    stack = opensearch
    container = stack.docker.inspect(node(stack))
    assert not container["HostConfig"]["PortBindings"]
    assert list(container["NetworkSettings"]["Networks"]) == [stack.cluster]
    stack.expect_no_changes()
    with pods(stack, "sleep", "300") as single:
        pod = f"{single.name}-0"
        before = shown(stack, pod, whole)
        for restarted in (stack.jaeger, node(stack)):
            stack.docker("restart", "--time", "60", restarted)
            answers(stack)
            assert of_spans(shown(stack, pod, whole)) == of_spans(before)
    document(stack, "verify")

    stack.settle(**STORE, keepTraces=True)
    said = stack.destroy().said
    volume = f"traced-{stack.name}-traces-opensearch"
    assert f"its traces stay in Docker's volume {volume}" in said
    assert stack.objects() == {f"volume {volume}"}
    again = stack.up().said
    assert f"keeps on using volume {volume}" in again
    wait_for_api(stack)
    found = shown(stack, pod, lambda start: start["containersStarted"] == 1)
    assert (found["uid"], found["startedAt"]) == (before["uid"], before["startedAt"])
    # OpenSearch and then Jaeger have started beside the cluster, and later than it.
    assert boot_of(stack, "apiserver")
