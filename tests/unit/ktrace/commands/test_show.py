"""``ktrace show``: a recorded start, a pod without one, and every way to fail."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from ktrace.jaeger import ring
from ktrace.podstart import search
from ktrace.target import losses
from runtime_observability.host.memory_loss import Memory, MemoryLoss
from tests.fakes import recorded
from tests.fakes.clock import Clock
from tests.fakes.http import FakeServer, Reply, Request, write_kubeconfig
from tests.fakes.jaeger import URL, data, served, span, trace
from tests.fakes.ktrace import Ktrace
from tests.fakes.starts import Document

SNAPSHOTS = Path(__file__).resolve().parent.parent / "podstart" / "snapshots"


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """No test waits for spans."""
    return Clock(1_800_000_000.0).drive(monkeypatch, search)


@pytest.fixture
def jaeger(server: FakeServer) -> str:
    """The URL of a Jaeger that has the start of default/echo-one."""
    server.answer = served(recorded.handler("echo-one"))
    return server.url


def test_a_start_is_shown_as_a_waterfall_with_its_traces(ktrace: Ktrace, jaeger: str) -> None:
    shown = ktrace("show", "pod/echo-one", "--jaeger", jaeger)
    assert (shown.returncode, shown.stderr) == (1, ""), "no pod object says that it is complete"
    expected = (SNAPSHOTS / "echo-one.txt").read_text().splitlines()
    assert [line for line in shown.lines if not line.startswith(jaeger)] == expected
    links = [line for line in shown.lines if line.startswith(jaeger)]
    assert links == snapshot("echo-one", jaeger)["traceUrls"]


def snapshot(pod: str, jaeger: str) -> Any:
    return json.loads((SNAPSHOTS / f"{pod}.json").read_text().replace(URL, jaeger))


@pytest.mark.parametrize("pod", ["echo-one", "pod/echo-one", "pods/echo-one"])
def test_the_json_is_that_of_the_start(ktrace: Ktrace, jaeger: str, pod: str) -> None:
    shown = ktrace("show", pod, "--jaeger", jaeger, "--json")
    assert shown.returncode == 1
    assert shown.document == snapshot("echo-one", jaeger)


@pytest.fixture
def cluster(tmp_path: Path, api: FakeServer) -> Callable[..., str]:
    """Writes a kubeconfig of a cluster that has a pod and its Events."""

    def with_pod(pod: Document | None, *events: Document, status: int = 404) -> str:
        def answer(request: Request) -> Reply:
            if "/events?" in request.path:
                return Reply(body={"items": list(events)})
            return Reply(body=pod) if pod else Reply(status, {"message": "no such thing"})

        file = tmp_path / "kubeconfig"
        api.answer = answer
        write_kubeconfig(file, api.url)
        return str(file)

    return with_pod


def test_a_start_is_complete_when_the_pod_says_so(
    ktrace: Ktrace, jaeger: str, cluster: Callable[..., str]
) -> None:
    started = echo(running=True)
    shown = ktrace("show", "echo-one", "--jaeger", jaeger, "--kubeconfig", cluster(started))
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.lines[0] == "pod default/echo-one started in 600 ms"
    document = ktrace(
        "show", "echo-one", "--jaeger", jaeger, "--kubeconfig", cluster(started), "--json"
    ).document
    assert (document["complete"], document["containersWanted"], document["missing"]) == (
        True,
        1,
        [],
    )


def test_a_start_that_is_not_complete_is_shown_and_ends_with_1(
    ktrace: Ktrace, jaeger: str, cluster: Callable[..., str], clock: Clock
) -> None:
    kubeconfig = cluster(echo(running=True, others=("second",)))
    options = ("--jaeger", jaeger, "--kubeconfig", kubeconfig)
    began = datetime.fromisoformat("2026-11-23T13:21:16.732Z").timestamp()
    clock.now = began + 7
    shown = ktrace("show", "echo-one", *options)
    assert (shown.returncode, shown.stderr) == (1, "")
    assert shown.lines[0] == "pod default/echo-one: 1 of 2 containers started, 8.00 s so far"
    assert "not started: second (container)" in shown.lines
    clock.now = began + 7
    document = ktrace("show", "echo-one", *options, "--json").document
    assert document["soFarMs"] == document["durationMs"] == pytest.approx(8000, abs=1)
    assert document["observedAt"] == "2026-11-23T13:21:24.732Z"


def test_how_long_a_start_has_taken_is_not_told_by_a_clock_that_is_behind(
    ktrace: Ktrace, jaeger: str, cluster: Callable[..., str], clock: Clock
) -> None:
    kubeconfig = cluster(echo(running=True, others=("second",)))
    options = ("--jaeger", jaeger, "--kubeconfig", kubeconfig)
    clock.now = datetime.fromisoformat("2026-11-23T13:21:16.732Z").timestamp() - 30
    shown = ktrace("show", "echo-one", *options)
    assert shown.lines[0] == "pod default/echo-one: 1 of 2 containers started"
    assert ktrace("show", "echo-one", *options, "--json").document["soFarMs"] is None


def test_what_the_cluster_contains_is_text(
    ktrace: Ktrace, jaeger: str, cluster: Callable[..., str]
) -> None:
    document = echo(running=True, others=("second",))
    waiting = {"reason": "Er\x1b[2Jr", "message": "a\u202e\r\nb"}
    second = {"name": "second", "state": {"waiting": waiting}}
    document["status"]["containerStatuses"].append(second)
    kubeconfig = cluster(document)
    shown = ktrace("show", "echo-one", "--jaeger", jaeger, "--kubeconfig", kubeconfig)
    assert "now: second: Er\\x1b[2Jr: a\\u202e b" in shown.lines


@pytest.mark.parametrize(
    ("status", "why"),
    [
        (404, "the pod object: no pod of that name exists any more"),
        (403, "the pod object: 403 no such thing"),
    ],
)
def test_what_the_cluster_does_not_tell_is_named_in_one_line(
    ktrace: Ktrace, jaeger: str, cluster: Callable[..., str], status: int, why: str
) -> None:
    kubeconfig = cluster(None, status=status)
    shown = ktrace("show", "echo-one", "--jaeger", jaeger, "--kubeconfig", kubeconfig)
    assert shown.returncode == 1
    assert f"without {why}" in shown.lines


def test_a_cluster_that_does_not_answer_is_named_too(
    ktrace: Ktrace, jaeger: str, tmp_path: Path
) -> None:
    file = tmp_path / "kubeconfig"
    write_kubeconfig(file, "http://127.0.0.1:9")
    shown = ktrace("show", "echo-one", "--jaeger", jaeger, "--kubeconfig", str(file))
    assert shown.returncode == 1
    (line,) = [line for line in shown.lines if line.startswith("without")]
    assert line.startswith("without the pod object and its Events: ")


@pytest.mark.parametrize("user", [{"username": "a", "password": "b"}, {"tokenFile": "token"}])
def test_any_kubeconfig_is_read_with_the_kubernetes_client(
    ktrace: Ktrace,
    jaeger: str,
    tmp_path: Path,
    cluster: Callable[..., str],
    user: dict[str, str],
) -> None:
    (tmp_path / "token").write_text("secret")
    file = Path(cluster(echo(running=True)))
    document = yaml.safe_load(file.read_text())
    document["users"][0]["user"] = user
    file.write_text(yaml.safe_dump(document))
    shown = ktrace("show", "echo-one", "--jaeger", jaeger, "--kubeconfig", str(file))
    assert (shown.returncode, shown.stderr) == (0, "")


def test_a_file_with_another_text_is_no_kubeconfig(
    ktrace: Ktrace, jaeger: str, tmp_path: Path
) -> None:
    (other := tmp_path / "other").write_text("root:x:0:0:root")
    shown = ktrace("show", "echo-one", "--jaeger", jaeger, "--kubeconfig", str(other))
    (line,) = [line for line in shown.lines if line.startswith("without")]
    assert line.endswith(f"{other} cannot be used: it does not have a kubeconfig's shape")


def test_a_file_that_is_no_kubeconfig_is_named(ktrace: Ktrace, jaeger: str, tmp_path: Path) -> None:
    absent = tmp_path / "absent"
    shown = ktrace("show", "echo-one", "--jaeger", jaeger, "--kubeconfig", str(absent))
    assert shown.returncode == 1
    (line,) = [line for line in shown.lines if line.startswith("without")]
    assert f"{absent} cannot be used" in line


def test_an_unschedulable_pod_is_answered_at_once(
    ktrace: Ktrace, server: FakeServer, cluster: Callable[..., str], clock: Clock
) -> None:
    server.answer = served(lambda _: data())
    document = echo(running=False)
    document["spec"]["nodeName"] = ""
    document["status"]["conditions"] = [
        {"type": "PodScheduled", "status": "False", "message": "0/1 nodes are available"}
    ]
    begin = clock.now
    shown = ktrace("show", "echo-one", "--jaeger", server.url, "--kubeconfig", cluster(document))
    assert shown.returncode == 1
    assert "now: unschedulable: 0/1 nodes are available" in shown.lines
    assert clock.now - begin == 1


def echo(*, running: bool, others: tuple[str, ...] = ()) -> Document:
    """The pod of the recording: one container, or some more that have not started."""
    traces = recorded_traces("echo-one")
    tags = {tag["key"]: tag["value"] for span in traces for tag in span["tags"]}
    state = {"running": {"startedAt": "2026-11-23T13:21:17Z"}} if running else {"waiting": {}}
    names = ("echo-one", *others)
    return {
        "metadata": {"uid": tags["k8s.pod.uid"], "creationTimestamp": "2026-11-23T13:21:16Z"},
        "spec": {"nodeName": "n", "containers": [{"name": name} for name in names]},
        "status": {
            "startTime": "2026-11-23T13:21:16Z",
            "containerStatuses": [{"name": "echo-one", "state": state}],
        },
    }


def recorded_traces(name: str) -> list[Any]:
    answers = [entry["answer"] for entry in json.loads(recorded.text(name))]
    return [span for answer in answers for found in answer["data"] or [] for span in found["spans"]]


def test_a_page_is_written_and_named(ktrace: Ktrace, jaeger: str, tmp_path: Path) -> None:
    file = tmp_path / "start.html"
    shown = ktrace("show", "echo-one", "--jaeger", jaeger, "--html", str(file))
    assert shown.lines[-1] == f"page: {file}"
    assert file.read_text().startswith("<!doctype html>")
    assert "echo-one" in file.read_text()
    as_json = ktrace("show", "echo-one", "--jaeger", jaeger, "--html", str(file), "--json")
    assert as_json.document["pod"] == "echo-one", "the page is not named in JSON"


def test_a_page_that_cannot_be_written_is_wrong_usage(
    ktrace: Ktrace, jaeger: str, tmp_path: Path
) -> None:
    refused = ktrace("show", "echo-one", "--jaeger", jaeger, "--html", str(tmp_path))
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr == f"ktrace: {tmp_path} cannot be written: it is a folder: name a file\n"


@pytest.mark.parametrize("what", ["secret/a", "pod/", "deploy/", "a/b/c"])
def test_what_is_no_pod_and_no_workload_is_wrong_usage(
    ktrace: Ktrace, jaeger: str, what: str
) -> None:
    refused = ktrace("show", what, "--jaeger", jaeger)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr == (
        f"ktrace: {what!r} is not a pod or a workload: write pod/NAME, NAME, deploy/NAME, "
        "sts/NAME, ds/NAME, job/NAME, rs/NAME\n"
    )


def test_another_namespace_is_searched(ktrace: Ktrace, jaeger: str, clock: Clock) -> None:
    begin = clock.now
    absent = ktrace("show", "echo-one", "-n", "shop", "--jaeger", jaeger, "--timeout", "3")
    assert (absent.returncode, absent.stdout) == (1, "")
    assert "Jaeger has no start of pod shop/echo-one (waited 3 s)" in absent.stderr
    assert clock.now - begin == 3


def test_a_jaeger_without_any_pod_points_at_verify(ktrace: Ktrace, server: FakeServer) -> None:
    server.answer = served(lambda _: data())
    absent = ktrace("show", "web-0", "--jaeger", server.url, "--timeout", "0")
    assert absent.returncode == 1
    assert absent.stderr == (
        "ktrace: Jaeger has no start of pod default/web-0 (waited 0 s); it has no pod's start at "
        "all: `ktrace verify` says why\n"
    )


@pytest.mark.parametrize(("year", "lost"), [(2999, True), (2000, False)])
def test_what_a_restart_of_jaeger_lost_is_told(
    ktrace: Ktrace, jaeger: str, monkeypatch: pytest.MonkeyPatch, year: int, *, lost: bool
) -> None:
    loss = MemoryLoss(datetime(year, 1, 1, tzinfo=UTC))
    monkeypatch.setattr(losses, "memory_of", lambda *_: Memory(loss.at, loss))
    shown = ktrace("show", "echo-one", "--jaeger", jaeger, "--json")
    told = [line for line in shown.document["missing"] if line.startswith("what may be lost: ")]
    assert [line.endswith(" keeps its traces in memory") for line in told] == [True] * lost
    absent = ktrace("show", "web-0", "--jaeger", jaeger, "--timeout", "0")
    assert "(waited 0 s); Jaeger restarted at" in absent.stderr


def test_a_jaeger_that_was_made_again_says_since_when_it_has_traces(
    ktrace: Ktrace, jaeger: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = Memory(datetime(2999, 1, 2, tzinfo=UTC))  # which is the first west of it
    monkeypatch.setattr(losses, "memory_of", lambda *_: memory)
    absent = ktrace("show", "web-0", "--jaeger", jaeger, "--timeout", "0")
    assert "(waited 0 s); Jaeger was made at 2999-01-0" in absent.stderr
    shown = ktrace("show", "echo-one", "--jaeger", jaeger, "--json")
    assert not any(line.startswith("what may be lost: ") for line in shown.document["missing"]), (
        "the collector has kept it until Jaeger was there"
    )


def test_that_jaegers_memory_was_full_is_told(
    ktrace: Ktrace, jaeger: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a pod of which nothing is left, and of one whose beginning is gone."""
    asked: list[int] = []

    def may_lack(_: object, since: int, *__: object) -> bool:
        asked.append(since)
        return True

    monkeypatch.setattr(ring, "may_lack", may_lack)
    absent = ktrace("show", "web-0", "--jaeger", jaeger, "--timeout", "0")
    assert "jaegerMaxTraces" not in absent.stderr, "since when this Jaeger runs is not known"
    began = datetime(2026, 11, 23, tzinfo=UTC)
    monkeypatch.setattr(losses, "memory_of", lambda *_: Memory(began))
    absent = ktrace("show", "web-0", "--jaeger", jaeger, "--timeout", "0")
    assert (
        "; Jaeger keeps the newest jaegerMaxTraces traces, and has none that is older: raise "
        "jaegerMaxTraces"
    ) in absent.stderr
    assert asked == [round(began.timestamp() * 1e6) + ring.FIRST]


@pytest.mark.parametrize(
    ("known", "hint"),
    [
        (
            [f"default/web-{number}" for number in range(1, 6)],
            "; similar names are default/web-5, default/web-4, default/web-3",
        ),
        (["kube-system/coredns"], ""),
        (["default/crash", "default/dns"], ""),
        (["shop/web-0", "default/other"], "; similar names are shop/web-0"),
    ],
)
def test_similar_names_are_offered(
    ktrace: Ktrace, server: FakeServer, known: list[str], hint: str
) -> None:
    tags: list[dict[str, Any]] = [{"k8s.pod": pod} for pod in known]
    spans = [
        span("kubelet", "syncPod", **tag) | {"spanID": str(number)}
        for number, tag in enumerate(tags)
    ]
    server.answer = served(
        lambda request: data() if "tags" in request.url.params else data(trace(*spans))
    )
    absent = ktrace("show", "web-0", "--jaeger", server.url, "--timeout", "0")
    assert absent.returncode == 1
    assert absent.stderr.endswith(f"(waited 0 s){hint}\n")


def test_an_unreachable_jaeger_has_a_code_of_its_own(ktrace: Ktrace) -> None:
    refused = ktrace("show", "web-0", "--jaeger", "http://127.0.0.1:9")
    assert (refused.returncode, refused.stdout) == (3, "")
    assert refused.stderr.startswith("ktrace: Jaeger at http://127.0.0.1:9 cannot be reached: ")


def test_what_is_not_jaeger_is_named(ktrace: Ktrace, server: FakeServer) -> None:
    refused = ktrace("show", "web-0", "--jaeger", server.url)
    assert refused.returncode == 3
    assert "answers 404 without an error of Jaeger's: is that Jaeger?" in refused.stderr
    server.answer = served(lambda _: httpx.Response(200, text="<html>"))
    refused = ktrace("show", "web-0", "--jaeger", server.url)
    assert refused.returncode == 3
    assert "answers 200 without a JSON object: is that Jaeger?" in refused.stderr
