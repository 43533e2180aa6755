"""A pod's start as ktrace shows it, from what a real Jaeger answered (1.34.4, containerd 2.3).

``UPDATE_GOLDEN=1 pytest tests/unit/test_show.py`` rewrites snapshots/; read the diff then.
"""

from __future__ import annotations

import json
import os
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import httpx
import pytest

from ktrace import page, terminal, waterfall
from ktrace.jaeger import Jaeger, Trace
from ktrace.podstart import Events, PodStart, Step, build
from ktrace.starts import look_for_start, settled
from tests.fakes import recorded
from tests.fakes.jaeger import URL, client, data, span, trace

SNAPSHOTS = Path(__file__).resolve().parent / "snapshots"
PODS = ("echo-one", "with-init", "no-image", "crashing", "with-init-137", "kubelet-only")
"""The last two: Kubernetes 1.37.2, and a node whose containerd does not trace."""


def start_of(pod: str) -> PodStart:
    found = look_for_start(recorded.replay(pod), "default", pod)
    assert found is not None
    return found


def check(name: str, text: str) -> None:
    path = SNAPSHOTS / name
    if os.environ.get("UPDATE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    assert text == path.read_text()


@pytest.mark.parametrize("pod", PODS)
def test_the_waterfall_is_as_it_was(pod: str) -> None:
    start = start_of(pod)
    table = terminal.plain(waterfall.table(start))
    lines = [line.rstrip() for line in table.splitlines()]
    check(
        f"{pod}.txt",
        "\n".join([waterfall.title(start), *lines, *waterfall.summary(start)]) + "\n",
    )


@pytest.mark.parametrize("pod", PODS)
def test_the_json_is_as_it_was(pod: str) -> None:
    check(f"{pod}.json", json.dumps(start_of(pod).document(URL), indent=2) + "\n")


@pytest.mark.parametrize("pod", ["with-init", "no-image"])
def test_the_page_is_as_it_was(pod: str) -> None:
    check(f"{pod}.html", page.render(start_of(pod), URL))


@pytest.mark.parametrize("pod", PODS)
def test_a_start_is_accounted_for_from_its_request_to_its_last_container(pod: str) -> None:
    start = start_of(pod)
    top = [step for step in start.steps if step.depth == 0]
    assert top[0].name == "create request"
    assert top[0].start_ms == 0
    assert max(step.end_ms for step in top) == pytest.approx(start.duration_ms)
    named = sum(step.duration_ms for step in top if step.unexplained)
    assert named <= start.unexplained_ms <= named + start.duration_ms * 0.1
    critical = [step for step in top if step.critical]
    assert sum(step.duration_ms for step in critical) > 0.85 * start.duration_ms


@pytest.mark.parametrize("pod", ["with-init", "with-init-137"])
def test_every_container_of_a_pod_is_named_and_started_once(pod: str) -> None:
    names = [step.name for step in start_of(pod).steps]
    assert [name for name in names if name.startswith("start ")] == [
        "start container first",
        "start container main",
        "start container side",
    ]


def test_a_restart_is_no_part_of_a_start() -> None:
    restarted = [step.name for step in start_of("crashing").steps]
    assert restarted.count("start container main") == 1


def test_a_pull_that_failed_says_so_and_the_start_is_not_complete() -> None:
    start = start_of("no-image")
    assert not start.whole
    assert any("connection refused" in step.error for step in start.steps)
    assert "pull 127.0.0.1:9/nosuch:1" in [step.name for step in start.steps]


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.external: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag in ("script", "img", "iframe"):
            self.external.append(tag)
        if tag == "link" and not str(values.get("href")).startswith("data:"):
            self.external.append(str(values["href"]))
        if tag not in ("meta", "link", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_whole_and_loads_nothing() -> None:
    text = page.render(start_of("no-image"), URL)
    reader = _Links()
    reader.feed(text)
    assert reader.external == []
    assert reader.open == []
    assert "@import" not in text
    assert "url(" not in text


def test_names_of_others_are_text_in_the_page() -> None:
    step = Step("pull <script>alert(1)</script>", "containerd", 0, 5, error="<b>no</b>")
    start = PodStart("a", "b", start_of("echo-one").started_at, 5, (step,), ("t",), True)
    text = page.render(start, URL)
    assert "<script" not in text
    assert "<b>" not in text


def read(*spans: dict[str, Any]) -> list[Trace]:
    return client(lambda _: data(trace(*spans))).find("kubelet")


def test_without_spans_of_containerd_the_kubelets_own_calls_are_the_steps() -> None:
    cri = "runtime.v1.RuntimeService/"
    syncs = read(
        span("kubelet", "syncPod", 0),
        span("kubelet", f"{cri}RunPodSandbox", 100, parent="syncPod"),
        span("kubelet", f"{cri}CreateContainer", 200, parent="syncPod"),
        span("kubelet", f"{cri}StartContainer", 300, parent="syncPod"),
    )
    start = build("default", "a", Events(syncs))
    assert start is not None
    assert start.whole
    assert [(step.name, step.component) for step in start.steps if not step.unexplained] == [
        ("sandbox", "kubelet"),
        ("create container", "kubelet"),
        ("start container", "kubelet"),
    ]


def test_without_calls_to_the_runtime_the_start_has_no_end_yet() -> None:
    start = build("default", "a", Events(read(span("kubelet", "syncPod", 0))))
    assert start is not None
    assert not start.whole
    assert build("default", "a", Events([])) is None


def test_a_start_whose_spans_have_not_all_come_says_so() -> None:
    call = "runtime.v1.RuntimeService/StartContainer"
    syncs = read(
        span("kubelet", "syncPod", 0),
        span("kubelet", call, 300, parent="syncPod"),
        span("containerd", "container.NewTask", 310, parent="its own call"),
    )
    start = build("default", "a", Events(syncs))
    assert start is not None
    assert start.document(URL)["spansWithoutParent"] == 1
    assert "spans whose parent is lost, or still on its way: 1" in waterfall.summary(start)


def asked(request: httpx.Request) -> tuple[str, dict[str, str]]:
    query = request.url.params
    return query["service"], json.loads(query.get("tags", "{}"))


def test_a_request_in_the_trace_of_a_client_that_traces_itself_is_told_from_the_others() -> None:
    created = trace(
        span("operator", "reconcile", 0) | {"duration": 900_000},
        span("apiserver", "LIST", 1_000, parent="reconcile") | {"duration": 800_000},
        span("apiserver", "POST", 850_000, parent="reconcile") | {"duration": 40_000},
        span("apiserver", "Create etcd3", 860_000, parent="POST", key="/pods/default/a"),
    )
    sync = trace(span("kubelet", "syncPod", 900_000), trace_id="t2")

    def answer(request: httpx.Request) -> httpx.Response:
        service, tags = asked(request)
        if service == "kubelet":
            return data(sync)
        return data(created) if "key" in tags else data()

    start = look_for_start(client(answer), "default", "a")
    assert start is not None
    assert (start.steps[0].name, start.steps[0].duration_ms) == ("create request", 40)


def test_of_pods_of_one_name_that_of_the_uid_is_shown() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        _, tags = asked(request)
        uids = {"older": 0, "newer": 5_000_000}
        wanted = [uid for uid in uids if tags.get("k8s.pod.uid", uid) == uid]
        return data(
            *(
                trace(span("kubelet", "syncPod", uids[uid], **{"k8s.pod.uid": uid}), trace_id=uid)
                for uid in wanted
            )
        )

    jaeger = client(answer)
    for uid, second in ((None, 5), ("older", 0)):
        start = look_for_start(jaeger, "default", "a", uid)
        assert start is not None
        assert start.started_at.second == second


NOTHING = {
    "null": httpx.Response(200, json={"data": None}),
    "404": httpx.Response(404, text="404 page not found"),
    "empty": data(),
}


@pytest.mark.parametrize("response", NOTHING.values(), ids=NOTHING)
def test_a_pod_that_jaeger_does_not_know_has_no_start(response: httpx.Response) -> None:
    jaeger: Jaeger = client(lambda _: response)
    assert look_for_start(jaeger, "default", "a") is None


@pytest.mark.usefixtures("no_waiting")
def test_what_is_the_same_twice_is_settled_and_what_never_comes_is_given_up() -> None:
    looks = iter([0, 1, 2, 3, 3, 4])
    assert settled(lambda: next(looks), lambda seen: seen > 1, 60) == 3
    assert settled(lambda: None, lambda seen: seen is not None, 0.05) is None
