"""The main promise: a pod's start is one trace with spans of the kubelet and containerd."""

from __future__ import annotations

import time
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests.live.pods import BUSYBOX, PULL_SECONDS, pods
from tests.live.stack import Stack
from tests.live.starts import SECONDS, promised, start_of
from tests.live.traces import Trace, search
from tests.live.waiting import until


@pytest.fixture
def echo_command(stack: Stack) -> Iterator[str]:
    """The name of the article's pod, started with the article's command and finished."""
    name = "echo-command"
    phase = ("get", "pod", name, "-o", "jsonpath={.status.phase}")
    stack.kubectl("run", name, f"--image={BUSYBOX}", "--restart=Never", "--", "echo", "hello")
    until(f"the end of {name}", lambda: stack.kubectl(*phase) == "Succeeded", PULL_SECONDS)
    yield name
    stack.kubectl("delete", "pod", name, "--now")


def test_up_ends_with_the_proof_that_everything_is_traced(stack: Stack) -> None:
    """A new one: an earlier one's trace is gone where a test has restarted Jaeger."""
    again = ("--replace", stack.state["probe-run"]["urn"])
    stack.pulumi("up", "--yes", "--skip-preview", *again)
    outputs = stack.outputs
    assert set(outputs["tracedComponents"]) == {"apiserver"} | promised(stack)
    assert 0 < outputs["timeToFirstTraceSeconds"] < 60
    trace = outputs["firstTraceUrl"].rpartition("/")[2]
    answer = httpx.get(f"{stack.jaeger_url}/api/traces/{trace}")
    (document,) = answer.raise_for_status().json()["data"]
    assert promised(stack) <= Trace(document).services


def test_a_second_up_finds_nothing_to_do_and_starts_no_pod(stack: Stack) -> None:
    before = stack.outputs["firstTraceUrl"]
    stack.expect_no_changes()
    stack.up()
    assert stack.outputs["firstTraceUrl"] == before
    stack.expect_no_changes()


def test_the_article_s_pod_is_one_trace_of_kubelet_and_containerd(
    stack: Stack, echo_command: str
) -> None:
    trace = until(
        f"the joined trace of {echo_command}", lambda: start_of(stack, echo_command), SECONDS
    )
    assert promised(stack) <= trace.services
    until(
        "a trace without missing spans",
        lambda: (found := start_of(stack, echo_command)) and found.whole,
        SECONDS,
    )


def test_the_request_that_created_the_pod_is_a_trace_of_the_api_server(stack: Stack) -> None:
    begin = time.time()

    def requests() -> list[Trace]:
        tags = {"resource": "pods", "verb": "POST"}
        found = search(stack.jaeger_url, "apiserver", "Create", tags, since=begin)
        return [
            trace for trace in found if any("kubectl" in tag for tag in trace.tags("user-agent"))
        ]

    with pods(stack, "true"):
        (request,) = until("the API server's request", requests, SECONDS)
        assert "Create etcd3" in request.operations("apiserver")


def test_logs_and_exec_work(stack: Stack, echo_command: str) -> None:
    assert stack.kubectl("logs", echo_command) == "hello\n"
    with pods(stack, "sleep", "300") as sleeper:
        sleeper.wait_for("Running")
        output = stack.kubectl("exec", f"{sleeper.name}-0", "--", "echo", "from inside")
        assert output == "from inside\n"


def test_a_pod_s_trace_can_be_read_soon_after_the_pod_ran(stack: Stack) -> None:
    """Of one of a few: what keeps each of them back is no busy machine."""

    def delay() -> float:
        with pods(stack, "true") as single:
            single.wait_for("Succeeded")
            begin, pod = time.monotonic(), f"{single.name}-0"
            until("the joined trace", lambda: start_of(stack, pod), SECONDS, every=0.1)
            return time.monotonic() - begin

    assert any(delay() < 5 for _ in range(3))


def test_every_link_is_a_search_that_jaeger_answers(stack: Stack) -> None:
    for name, link in stack.outputs["links"].items():
        query = {key: values[0] for key, values in parse_qs(urlsplit(link).query).items()}
        answer = httpx.get(f"{stack.jaeger_url}/api/traces", params=query, timeout=20)
        assert answer.status_code == 200, f"{name}: {answer.text}"
        assert httpx.get(link, timeout=20, follow_redirects=True).status_code == 200


def test_fifty_pods_at_once_are_fifty_whole_traces(stack: Stack) -> None:
    with pods(stack, "true", count=50) as crowd:
        crowd.wait_for("Succeeded")

        def missing() -> set[str]:
            found = {name: start_of(stack, name) for name in crowd.phases}
            return {name for name, trace in found.items() if trace is None or not trace.whole}

        until("fifty whole traces", lambda: not missing(), 60, every=1)
