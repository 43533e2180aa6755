"""``ktrace run``: the command it runs, the pods that came of it, and what it reports."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from ktrace.cli import main
from ktrace.errors import UsageError
from ktrace.following import follower
from ktrace.following.follower import Follower
from ktrace.following.owners import Owners
from ktrace.following.report import Report
from ktrace.jaeger import Jaeger
from ktrace.recording import user_command
from ktrace.recording.identity import Identity
from ktrace.recording.requests import Seen
from ktrace.view import terminal
from tests.fakes.http import FakeServer, Reply, Request, write_kubeconfig
from tests.fakes.jaeger import URL, client, data, span, trace

NEW = Seen("POST", "/api/v1/namespaces/n/pods", 0, 1, 201, "id-1", Identity("a", "u-new"))
SCALED = Seen(
    "PATCH", "/apis/apps/v1/namespaces/n/deployments/d", 0, 1, 200, "id-2", Identity("d", "u-d")
)


def pod(name: str, uid: str, phase: str = "Running", **more: Any) -> dict[str, Any]:
    """As the API server has it; ``more``: ready, owner, and the rest of its metadata."""
    ready = more.pop("ready", phase == "Running")
    owner = more.pop("owner", None)
    references = [{"apiVersion": "v1", "kind": "Thing", "name": "t", "uid": owner}] if owner else []
    return {
        "metadata": {
            "namespace": "n",
            "name": name,
            "uid": uid,
            "ownerReferences": references,
            **more,
        },
        "status": {"phase": phase, "conditions": [{"type": "Ready", "status": str(ready)}]},
    }


@pytest.fixture
def owners(server: FakeServer, tmp_path: Path) -> Callable[..., Owners]:
    """Has looked once, at ``looks[0]``; the last of the looks stays."""

    def make(*looks: list[dict[str, Any]]) -> Owners:
        left = list(looks)

        def answer(request: Request) -> Reply:
            if request.path != "/api/v1/pods":
                return Reply(404, {})
            return Reply(200, {"items": left.pop(0) if len(left) > 1 else left[0]})

        server.answer = answer
        write_kubeconfig(tmp_path / "config", server.url)
        made = Owners(tmp_path / "config")
        made.look()
        return made

    return make


class Clock(SimpleNamespace):
    """Time that passes only while someone sleeps or Jaeger answers."""

    def __init__(self) -> None:
        super().__init__(now=0.0)

    def monotonic(self) -> float:
        return float(self.now)

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(follower, "time", made)
    return made


def jaeger_with(clock: Clock, *traces: dict[str, Any], seconds: float = 0.02) -> Jaeger:
    """Finds those traces that have a span of the service with all the tags, and takes its time."""

    def answer(request: httpx.Request) -> httpx.Response:
        clock.sleep(seconds)
        asked = dict(request.url.params)
        tags = json.loads(asked.get("tags", "{}")).items()
        return data(
            *(
                each
                for each in traces
                if any(
                    one["processID"] == asked["service"]
                    and asked.get("operation", one["operationName"]) == one["operationName"]
                    and tags <= {tag["key"]: tag["value"] for tag in one["tags"]}.items()
                    for one in each["spans"]
                )
            )
        )

    return client(answer)


def start_of(name: str, uid: str) -> dict[str, Any]:
    tags = {"k8s.pod": f"n/{name}", "k8s.pod.uid": uid, "k8s.pod.update_type": "create"}
    call = "runtime.v1.RuntimeService/StartContainer"
    return trace(
        span("kubelet", "syncPod", 1000, **tags),
        span("kubelet", call, 1005, "syncPod"),
        trace_id=uid,
    )


def follow(jaeger: Jaeger, owners: Owners, *requests: Seen, seconds: float = 30) -> Report:
    follower = Follower(jaeger, owners, requests, since=0)
    follower.follow(seconds)
    return Report(("x",), 0, requests, follower.found, URL)


def test_a_pod_that_waits_is_told_without_a_trace(
    owners: Callable[..., Owners], clock: Clock
) -> None:
    known = owners([], [pod("a", "u-new", "Pending")])
    report = follow(jaeger_with(clock), known, NEW, seconds=5)
    assert not report.followed.quiet
    (told,) = report.document()["pods"]
    assert (told["phase"], told["services"]) == ("Pending", [])
    assert told["durationMs"] is told["traceUrl"] is None
    assert "pod n/a  Pending, no trace of its own" in terminal.plain(report.tree())


def test_what_failed_in_a_start_is_told_however_short_it_was(
    owners: Callable[..., Owners], clock: Clock
) -> None:
    pull = "runtime.v1.ImageService/PullImage"
    failed = span("kubelet", pull, 1100, "syncPod", error="true")
    tags = {"k8s.pod": "n/a", "k8s.pod.uid": "u-new", "k8s.pod.update_type": "create"}
    sandbox = span("kubelet", "runtime.v1.RuntimeService/RunPodSandbox", 1005, "syncPod")
    sandbox["duration"] = 1_000_000
    started = trace(span("kubelet", "syncPod", 1000, **tags), sandbox, failed)
    known = owners([], [pod("a", "u-new", "Pending")])
    report = follow(jaeger_with(clock, started), known, NEW, seconds=5)
    (told,) = report.document()["pods"]
    assert told["errors"] == ["pull: failed"]
    assert "FAILED: failed" in terminal.plain(report.tree())


def test_what_did_nothing_since_is_no_consequence(
    owners: Callable[..., Owners], clock: Clock
) -> None:
    known = owners([pod("old", "u-old", owner="u-d")])
    report = follow(jaeger_with(clock), known, SCALED)
    assert report.followed.pods == []
    assert report.followed.quiet


@pytest.mark.parametrize(
    ("last", "quiet"),
    [
        ([pod("a", "u-new", "Running", ready=True)], True),
        ([pod("a", "u-new", "Running", ready=False)], False),
        ([pod("a", "u-new", "Running", ready=True, deletionTimestamp="now")], False),
        ([pod("a", "u-new", "Succeeded")], True),
        ([pod("a", "u-new", "Pending")], False),
        ([], True),
    ],
)
def test_a_pod_is_followed_until_it_is_ready_or_gone(
    owners: Callable[..., Owners], clock: Clock, last: list[dict[str, Any]], quiet: bool
) -> None:
    known = owners([], [pod("a", "u-new", "Pending")], last)
    report = follow(jaeger_with(clock), known, NEW, seconds=10)
    assert report.followed.quiet is quiet
    assert clock.now < 13
    assert len(report.followed.pods) == 1


def test_a_pod_that_lived_only_meanwhile_is_found_by_its_name(
    owners: Callable[..., Owners], clock: Clock
) -> None:
    report = follow(jaeger_with(clock, start_of("a", "u-new")), owners([]), NEW)
    (found,) = report.followed.pods
    assert (found.name, found.phase, found.services) == ("a", "", ["kubelet"])
    assert found.start is not None


def test_a_pod_that_lived_only_meanwhile_is_seen_by_looking(
    owners: Callable[..., Owners], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ktrace.following.owners._POLL_SECONDS", 0.005)
    known = owners([], [pod("hook", "u-hook", owner="u-job")], [])
    with known.looking():
        while "u-hook" not in known.pods:
            pass
    assert known.pods["u-hook"].owners == ("u-job",)


def test_pods_of_one_name_keep_their_own_traces(
    owners: Callable[..., Owners], clock: Clock
) -> None:
    known = owners([pod("a", "u-old")], [pod("a", "u-new")])
    removed = Seen("DELETE", "/api/v1/namespaces/n/pods/a", 0, 1, 200)
    jaeger = jaeger_with(clock, start_of("a", "u-old"), start_of("a", "u-new"))
    found = follow(jaeger, known, removed, NEW).followed.pods
    assert {each.uid: [one.id for one in each.traces] for each in found} == {
        "u-old": ["u-old"],
        "u-new": ["u-new"],
    }
    assert [each.start.trace_ids[-1] for each in found if each.start] == ["u-old", "u-new"]


def test_following_ends_in_time_however_slow_jaeger_is(
    owners: Callable[..., Owners], clock: Clock
) -> None:
    reads = [Seen("GET", "/version", 0, 1, 200, f"read-{number}") for number in range(600)]
    many = [pod(f"p{number}", f"u-{number}", owner="u-d") for number in range(50)]
    known = owners([], many)
    write = trace(span("apiserver", "Patch", 0, "", **{"audit-id": "id-2"}))
    starts = (start_of(each["metadata"]["name"], each["metadata"]["uid"]) for each in many)
    jaeger = jaeger_with(clock, write, *starts)
    report = follow(jaeger, known, *reads, SCALED, seconds=2)
    assert clock.now < 4.5
    assert set(report.followed.traces) == {"id-2"}
    assert len(report.followed.pods) == 50


def test_pods_that_cannot_be_listed_are_a_problem(
    owners: Callable[..., Owners], server: FakeServer
) -> None:
    known = owners([])
    server.answer = lambda _: Reply(403, {"message": "no"})
    known.look()
    assert known.problem == "the cluster's pods cannot be listed: 403 Forbidden"


def test_a_requests_time_is_not_that_of_its_clients_trace(
    owners: Callable[..., Owners], clock: Clock
) -> None:
    whole = trace(
        span("operator", "reconcile", 0),
        span("apiserver", "GET /x", 1, "reconcile"),
        span("apiserver", "Get", 2, "GET /x", **{"audit-id": "another"}),
        span("apiserver", "POST /y", 20, "reconcile"),
        span("apiserver", "Create", 21, "POST /y", **{"audit-id": "id-1"}),
    )
    for number, duration in enumerate((1_500_000, 900_000, 800_000, 7000, 5000)):
        whole["spans"][number]["duration"] = duration
    report = follow(jaeger_with(clock, whole), owners([]), NEW)
    assert report.document()["requests"][0]["durationMs"] == 7.0


def test_a_commands_code_and_signals_are_its_own() -> None:
    before = signal.getsignal(signal.SIGTERM)
    ended = user_command.run(["sh", "-c", 'exit "$CODE"'], {"CODE": "7"})
    assert ended == user_command.Ended(7, told_to=False)
    assert user_command.run(["sh", "-c", "kill -KILL $$"], {}).code == 137
    waiting = "trap 'exit 9' TERM; sleep 0.1; kill -TERM $PPID; while :; do sleep 0.01; done"
    assert user_command.run(["sh", "-c", waiting], {}) == user_command.Ended(9, told_to=True)
    assert signal.getsignal(signal.SIGTERM) is before
    with pytest.raises(UsageError, match="nosuch cannot be run"):
        user_command.run(["nosuch"], {})


@pytest.fixture
def ktrace_run(
    server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., int]:
    """Runs the command against a server that is both Jaeger and the API; its exit code."""
    server.answer = lambda request: Reply(200, {"data": [], "items": []})
    write_kubeconfig(tmp_path / "config", server.url)
    asks = f"import os, re, urllib.request as u; {ASK}"

    def run(*options: str, code: int = 0, kubeconfig: Path = tmp_path / "config") -> int:
        where = ["--jaeger", server.url, "--kubeconfig", str(kubeconfig)]
        command = [sys.executable, "-c", f"{asks}; raise SystemExit({code})"]
        arguments = ["ktrace", "run", "--for", "0", *where, *options, "--", *command]
        monkeypatch.setattr(sys, "argv", arguments)
        with pytest.raises(SystemExit) as ended:
            main()
        return int(ended.value.code or 0)

    return run


ASK = """\
url = re.search('server: (.*)', open(os.environ['KUBECONFIG']).read())[1]; \
u.urlopen(url + '/version').read(); print('it ran')"""


def test_a_report_is_written_where_it_was_opened(
    ktrace_run: Callable[..., int], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "report.json")
    assert ktrace_run("--json", "--report", str(tmp_path / "link"), code=7) == 7
    assert (tmp_path / "link").is_symlink()
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["exitCode"] == 7
    assert [each["resource"] for each in report["requests"]] == ["/version"]
    assert capfd.readouterr() == ("it ran\n", "")


def test_a_report_that_cannot_be_written_is_said_first_or_costs_no_code(
    ktrace_run: Callable[..., int], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert ktrace_run("--report", str(tmp_path)) == 2
    said = capfd.readouterr()
    assert said.out == ""
    assert said.err == f"ktrace: {tmp_path} cannot be written: Is a directory\n"
    assert ktrace_run("--report", "/dev/full", code=7) == 7
    assert "the report cannot be written: No space left" in capfd.readouterr().err
    assert ktrace_run("--report", "/dev/full") == 2


def test_ctrl_c_ends_the_following_and_not_the_report(
    ktrace_run: Callable[..., int],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    def interrupted(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("ktrace.following.follower.time.sleep", interrupted)
    assert ktrace_run("--for", "30") == 0
    assert "1 requests that only read" in capfd.readouterr().err


def test_a_problem_with_the_cluster_is_in_the_report(
    ktrace_run: Callable[..., int], server: FakeServer, capfd: pytest.CaptureFixture[str]
) -> None:
    server.answer = lambda request: Reply(403 if request.path.endswith("/pods") else 200, {})
    assert ktrace_run() == 3
    assert "problem: the cluster's pods cannot be listed: 403" in capfd.readouterr().err


def test_a_kubeconfig_that_cannot_be_used_is_wrong_usage(
    ktrace_run: Callable[..., int], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "broken"
    write_kubeconfig(broken, "https://127.0.0.1:9", user={"client-certificate": "absent.crt"})
    assert ktrace_run(kubeconfig=broken) == 2
    said = capfd.readouterr()
    assert said.out == ""
    assert said.err.startswith(f"ktrace: {broken} cannot be used: ")
    assert len(said.err.splitlines()) == 1
