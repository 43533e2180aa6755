"""A pod's start as ktrace shows it, from what a real Jaeger answered (1.34.4, containerd 2.3).

``UPDATE_GOLDEN=1 pytest tests/unit/ktrace/podstart`` rewrites snapshots/; read the diff then.
"""

from __future__ import annotations

import io
import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import httpx
import pytest
from rich.console import Console

from ktrace.jaeger import Jaeger, Trace
from ktrace.podstart import search
from ktrace.podstart.build import build
from ktrace.podstart.model import PodStart, Spans, Step
from ktrace.podstart.search import look_for_start
from ktrace.view import page, terminal, waterfall
from ktrace.view.start import document
from tests import golden
from tests.fakes import recorded
from tests.fakes.clock import Clock
from tests.fakes.jaeger import URL, client, data, span, trace
from tests.schemas import validate

SNAPSHOTS = Path(__file__).resolve().parent / "snapshots"
PODS = ("echo-one", "with-init", "no-image", "crashing", "with-init-137", "kubelet-only")
"""The last two: Kubernetes 1.37.2, and a node whose containerd does not trace."""


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """When the command looks: its tests have the same snapshots."""
    return Clock(1_800_000_000.0).drive(monkeypatch, search)


def start_of(pod: str) -> PodStart:
    found = look_for_start(recorded.replay(pod), "default", pod)
    assert found is not None
    return found


def check(name: str, text: str) -> None:
    golden.check(SNAPSHOTS / name, text)


@pytest.mark.parametrize("pod", PODS)
def test_the_waterfall_is_as_it_was(pod: str) -> None:
    start = start_of(pod)
    table = terminal.plain(waterfall.table(start, terminal.PIPE_WIDTH))
    lines = [line.rstrip() for line in table.splitlines()]
    check(
        f"{pod}.txt",
        "\n".join([waterfall.title(start), *lines, *waterfall.summary(start)]) + "\n",
    )


@pytest.mark.parametrize("pod", PODS)
def test_the_json_is_as_it_was(pod: str) -> None:
    told = document(start_of(pod), URL)
    validate("show", told)
    check(f"{pod}.json", json.dumps(told, indent=2) + "\n")


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
    assert 0.85 < sum(step.share for step in start.steps) <= 1.0001
    marked = [step.share for step in start.steps if step.critical]
    assert 0 < len(marked) <= 5
    assert 0.5 < sum(marked) <= 1.0001
    assert min(marked) >= max(step.share for step in start.steps if not step.critical)


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


CRI = "runtime.v1.RuntimeService/"


def attempt(number: int, start: int, *, failed: bool) -> list[dict[str, Any]]:
    """The spans of kubelet and containerd for the creation and start of one container."""
    container = {"container.id": f"id{number}"}
    name = {"container.name": f"main_a_default_uid_{number}"}
    status = {"error": "true", "otel.status_description": "no such file"} if failed else {}
    create, begin = f"{CRI}CreateContainer", f"{CRI}StartContainer"
    spans = [
        span("kubelet", create, start, "syncPod"),
        span("containerd", create, start, f"1-{number}", **container, **name),
        span("kubelet", begin, start + 10, "syncPod", **status),
        span("containerd", begin, start + 10, f"3-{number}", **container),
    ]
    return [span | {"spanID": f"{index}-{number}"} for index, span in enumerate(spans, 1)]


def test_a_container_that_could_not_be_started_has_not_started() -> None:
    spans = [span("kubelet", "syncPod", 0), *attempt(0, 100, failed=True)]
    start = build("default", "a", Spans(read(*spans)))
    assert start is not None
    assert not start.complete
    assert waterfall.title(start).startswith("pod default/a: no container start seen")
    assert "error in start container main: no such file" in waterfall.summary(start)


def test_another_attempt_at_the_first_start_is_no_restart() -> None:
    spans = [span("kubelet", "syncPod", 0), *attempt(0, 100, failed=True)]
    spans += [*attempt(1, 10_000, failed=False), *attempt(2, 90_000, failed=False)]
    start = build("default", "a", Spans(read(*spans)))
    assert start is not None
    assert start.started == 1
    assert start.duration_ms == pytest.approx(10.02)


def untraced(pod: str) -> PodStart:
    found = look_for_start(recorded.replay(pod, without="containerd"), "default", pod)
    assert found is not None
    return found


def test_a_runtime_that_is_traced_and_sends_nothing_is_missing() -> None:
    """No start of such a stack is whole without it, although another's would be."""
    assert not any("runtime" in line for line in untraced("echo-one").missing)
    start = look_for_start(
        recorded.replay("echo-one", without="containerd"), "default", "echo-one",
        runtime_traced=True,
    )  # fmt: skip
    assert start is not None
    assert start.lacks_spans
    (line,) = [line for line in start.missing if "runtime" in line]
    assert line.startswith("the runtime's spans of RunPodSandbox, ")
    whole = look_for_start(recorded.replay("echo-one"), "default", "echo-one", runtime_traced=True)
    assert whole == look_for_start(recorded.replay("echo-one"), "default", "echo-one")


def test_where_no_span_names_a_container_a_start_ends_before_the_restart() -> None:
    """A container in back-off was started twice."""
    start = untraced("crashing")
    assert [step.name for step in start.steps].count("start container") == 1
    assert start.duration_ms == pytest.approx(772, abs=1)
    assert start.notes == ()


def test_where_no_span_names_a_container_a_restart_may_count_and_the_start_says_so() -> None:
    start = untraced("with-init")
    (note,) = start.notes
    assert note.startswith("no span names a container")
    assert note in waterfall.summary(start)
    assert document(start, URL)["notes"] == [note]


def test_where_no_span_names_a_container_what_follows_an_init_container_is_not_lost() -> None:
    names = [step.name for step in untraced("with-init").steps]
    assert names.count("start container") == 3
    assert not any("init container" in name for name in names)


def test_where_no_span_names_a_container_none_is_restarted_before_it_is_stopped() -> None:
    cri = "runtime.v1.RuntimeService/"
    syncs = read(
        span("kubelet", "syncPod", 0),
        span("kubelet", f"{cri}CreateContainer", 100, parent="syncPod"),
        span("kubelet", f"{cri}StartContainer", 200, parent="syncPod"),
        span("kubelet", f"{cri}StopContainer", 5_000_000, parent="syncPod"),
        span("kubelet", f"{cri}StartContainer", 5_000_100, parent="syncPod") | {"spanID": "2"},
    )
    start = build("default", "a", Spans(syncs))
    assert start is not None
    assert start.duration_ms < 1


def test_what_follows_the_last_start_is_no_part_of_a_start() -> None:
    syncs = read(
        span("kubelet", "syncPod", 0),
        span("kubelet", f"{CRI}CreateContainer", 100, parent="syncPod"),
        span("kubelet", f"{CRI}StartContainer", 200, parent="syncPod"),
        span("kubelet", "runtime.v1.ImageService/PullImage", 300, parent="syncPod"),
    )
    start = build("default", "a", Spans(syncs))
    assert start is not None
    assert [step.name for step in start.steps] == ["create container", "start container"]
    assert start.duration_ms == pytest.approx(0.21)


def test_a_start_with_one_container_needs_no_names() -> None:
    assert start_of("kubelet-only").notes == ()


def test_a_sync_without_calls_names_the_defect_of_kubernetes() -> None:
    start = build("default", "a", Spans(read(span("kubelet", "syncPod", 0))))
    assert start is not None
    assert start.steps[-1].name == "syncPod, without a call to the runtime"
    (note,) = start.notes
    assert "kubernetes#121192" in note


def test_a_sync_that_failed_without_a_call_says_why() -> None:
    tags = {"error": "true", "otel.status_description": 'configmap "none" not found'}
    start = build("default", "a", Spans(read(span("kubelet", "syncPod", 0, **tags))))
    assert start is not None
    assert start.notes == ('the kubelet\'s last error: configmap "none" not found',)


def test_a_pull_that_failed_says_so_and_the_start_is_not_complete() -> None:
    start = start_of("no-image")
    assert not start.complete
    assert any("connection refused" in step.error for step in start.steps)
    assert "pull 127.0.0.1:9/nosuch:1" in [step.name for step in start.steps]


@pytest.mark.parametrize(
    ("columns", "bars"), [(80, 0), (99, 0), (100, 25), (120, 30), (144, 36), (400, 36)]
)
def test_the_bars_are_what_the_terminal_has_to_spare(columns: int, bars: int) -> None:
    start = start_of("echo-one")
    assert waterfall.bar_width(columns) == bars
    console = Console(width=columns, file=io.StringIO())
    with console.capture() as captured:
        console.print(waterfall.table(start, columns))
    assert ("░" in captured.get()) == bool(bars)


@pytest.mark.parametrize("columns", [80, 120])
def test_the_usual_steps_need_one_line_each(columns: int) -> None:
    start = start_of("echo-one")
    console = Console(width=columns, file=io.StringIO())
    with console.capture() as captured:
        console.print(waterfall.table(start, columns))
    assert len(captured.get().splitlines()) == len(start.steps) + 1


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
    start = build("default", "a", Spans(syncs))
    assert start is not None
    assert start.started == 1
    assert [(step.name, step.component) for step in start.steps if not step.unexplained] == [
        ("sandbox", "kubelet"),
        ("create container", "kubelet"),
        ("start container", "kubelet"),
    ]


def test_without_calls_to_the_runtime_the_start_has_no_end_yet() -> None:
    start = build("default", "a", Spans(read(span("kubelet", "syncPod", 0))))
    assert start is not None
    assert not start.complete
    assert build("default", "a", Spans([])) is None


def test_a_start_whose_spans_have_not_all_come_says_so() -> None:
    call = "runtime.v1.RuntimeService/StartContainer"
    syncs = read(
        span("kubelet", "syncPod", 0),
        span("kubelet", call, 300, parent="syncPod"),
        span("containerd", "container.NewTask", 310, parent="its own call"),
    )
    start = build("default", "a", Spans(syncs))
    assert start is not None
    assert document(start, URL)["spansWithoutParent"] == 1
    assert "spans whose parent is lost or has not arrived yet: 1" in waterfall.summary(start)


def question(request: httpx.Request) -> tuple[str, dict[str, str]]:
    query = request.url.params
    return query["service"], json.loads(query.get("tags", "{}"))


def start_with(created: Any) -> PodStart:
    """The start of a pod whose creation is in the trace ``created``."""
    seen = {"k8s.pod": "default/a", "k8s.pod.update_type": "create"}
    sync = trace(span("kubelet", "syncPod", 900_000, **seen), trace_id="t2")

    def answer(request: httpx.Request) -> httpx.Response:
        service, tags = question(request)
        if service == "kubelet":
            return data(sync)
        return data(created) if "key" in tags else data()

    start = look_for_start(client(answer), "default", "a")
    assert start is not None
    return start


def test_a_request_in_the_trace_of_a_client_that_traces_itself_is_told_from_the_others() -> None:
    created = trace(
        span("operator", "reconcile", 0) | {"duration": 900_000},
        span("apiserver", "LIST", 1_000, parent="reconcile") | {"duration": 800_000},
        span("apiserver", "POST", 850_000, parent="reconcile") | {"duration": 40_000},
        span("apiserver", "Create etcd3", 860_000, parent="POST", key="/pods/default/a"),
    )
    start = start_with(created)
    assert (start.steps[0].name, start.steps[0].duration_ms) == ("create request", 40)


def test_what_a_webhook_asks_meanwhile_is_no_part_of_the_request_that_called_it() -> None:
    """A webhook that goes on with the trace creates an object, and another webhook is called."""
    calls = {"duration": 20_000}
    created = trace(
        span("ktrace", "create pods", 0) | {"duration": 900_000},
        span("apiserver", "POST", 1_000, parent="create pods") | {"duration": 90_000},
        span("apiserver", "Call validating webhook", 2_000, parent="POST", webhook="one") | calls,
        span("webhook", "admit", 3_000, parent="Call validating webhook") | {"duration": 18_000},
        span("apiserver", "PUT", 4_000, parent="admit") | {"duration": 16_000},
        span("apiserver", "Call mutating webhook", 5_000, parent="PUT", webhook="two"),
        span("apiserver", "Update", 18_000, parent="PUT", key="/configmaps/default/x"),
        span("apiserver", "Create etcd3", 60_000, parent="POST", key="/pods/default/a"),
    )
    start = start_with(created)
    names = [step.name for step in start.steps]
    assert names[0] == "create request"
    assert [name for name in names if name.startswith("webhook")] == ["webhook one"]


def test_of_pods_of_one_name_that_of_the_uid_is_shown() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        _, tags = question(request)
        uids = {"older": 0, "newer": 5_000_000}
        wanted = [uid for uid in uids if tags.get("k8s.pod.uid", uid) == uid]
        seen = {"k8s.pod": "default/a", "k8s.pod.update_type": "create"}
        return data(
            *(
                trace(
                    span("kubelet", "syncPod", uids[uid], **seen, **{"k8s.pod.uid": uid}),
                    trace_id=uid,
                )
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
    "404": httpx.Response(404, json={"data": None, "errors": [{"msg": "trace not found"}]}),
    "empty": data(),
}


@pytest.mark.parametrize("response", NOTHING.values(), ids=NOTHING)
def test_a_pod_that_jaeger_does_not_know_has_no_start(response: httpx.Response) -> None:
    jaeger: Jaeger = client(lambda _: response)
    assert look_for_start(jaeger, "default", "a") is None
