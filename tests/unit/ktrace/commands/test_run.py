"""``ktrace run``: where its report goes, and how it ends."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ktrace.cli import main
from ktrace.target import losses, target
from runtime_observability.host.memory_loss import Memory, MemoryLoss
from tests import schemas
from tests.fakes.http import FakeServer, Reply, Request, write_kubeconfig
from tests.fakes.jaeger import span, trace

COMMAND = """\
import os, re, urllib.request as u; \
url = re.search('server: (.*)', open(os.environ['KUBECONFIG']).read())[1]; \
u.urlopen(url + '/version').read(); print('it ran')"""

HOSTILE = COMMAND.replace(
    "u.urlopen(url + '/version')",
    "u.urlopen(u.Request(url + '/api/v1/namespaces/n%1b/pods', method='POST', data=b'{}'))",
)
"""Creates a pod in a namespace whose name has an escape character."""
OUTLIVED = """\
import http.client, os, re, time, urllib.parse
folder = os.environ["FOLDER"]
address = re.search("server: (.*)", open(os.environ["KUBECONFIG"]).read())[1]
url = urllib.parse.urlsplit(address)
connection = http.client.HTTPConnection(url.netloc)
connection.request("GET", url.path + "/before")
connection.getresponse().read()
if not os.fork():
    os.setsid()
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nothing, number)
    while not os.path.exists(folder + "/go"):
        time.sleep(0.01)
    connection.auto_open = 0
    try:
        connection.request("GET", url.path + "/after")
        connection.getresponse()
        said = "answered"
    except (OSError, http.client.HTTPException):
        said = "refused"
    open(folder + "/doing", "w").write(said)
    os.rename(folder + "/doing", folder + "/done")
    os._exit(0)
"""
"""Its child keeps an open connection, and uses it after the command has ended."""


@pytest.fixture
def ktrace_run(
    server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., int]:
    """Runs the command against a server that is both Jaeger and the API; its exit code."""
    server.answer = lambda request: Reply(200, {"data": [], "items": []})
    write_kubeconfig(tmp_path / "config", server.url)

    def run(*options: str, code: int = 0, kubeconfig: Path = tmp_path / "config") -> int:
        target = ["--jaeger", server.url, "--kubeconfig", str(kubeconfig)]
        command = [sys.executable, "-c", f"{COMMAND}; raise SystemExit({code})"]
        arguments = ["ktrace", "run", "--for", "0", *target, *options, "--", *command]
        monkeypatch.setattr(sys, "argv", arguments)
        with pytest.raises(SystemExit) as ended:
            main()
        return int(ended.value.code or 0)

    return run


def test_a_report_is_written_where_it_was_opened(
    ktrace_run: Callable[..., int], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "report.json")
    assert ktrace_run("--json", "--report", str(tmp_path / "link"), code=7) == 7
    assert (tmp_path / "link").is_symlink()
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["exitCode"] == 7
    assert [request["resource"] for request in report["requests"]] == ["/version"]
    assert capfd.readouterr() == ("it ran\n", "")


def test_a_report_that_cannot_be_written_is_said_first_or_costs_no_code(
    ktrace_run: Callable[..., int], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert ktrace_run("--report", str(tmp_path)) == 2
    printed = capfd.readouterr()
    assert printed.out == ""
    assert printed.err == f"ktrace: {tmp_path} cannot be written: it is a folder: name a file\n"
    assert ktrace_run("--report", "/dev/full", code=7) == 7
    assert "the report cannot be written: No space left" in capfd.readouterr().err
    assert ktrace_run("--report", "/dev/full") == 2


def test_errors_are_json_where_the_report_would_be(
    ktrace_run: Callable[..., int], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    write_kubeconfig(tmp_path / "broken", "http://127.0.0.1:9")
    assert ktrace_run("--json", kubeconfig=tmp_path / "broken") == 3
    printed = capfd.readouterr()
    document = json.loads(printed.err)
    schemas.validate("error", document)
    assert document["error"]["exitCode"] == 3
    assert "127.0.0.1:9" in document["error"]["message"]
    assert printed.out == ""
    report = tmp_path / "report.json"
    absent = tmp_path / "absent"
    assert ktrace_run("--json", "--report", str(report), kubeconfig=absent) == 2
    failed = json.loads(report.read_text())
    schemas.validate("error", failed)
    assert failed["error"]["exitCode"] == 2
    assert capfd.readouterr() == ("", f"ktrace: {failed['error']['message']}\n")


def test_a_report_is_valid_and_plain_whatever_its_names_contain(
    ktrace_run: Callable[..., int],
    server: FakeServer,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    answer = {"data": [], "items": [], "kind": "Pod", "metadata": {"name": "e\x1b[31m", "uid": "u"}}
    server.answer = lambda request: Reply(200, answer, {"Audit-Id": "\x9b31m"})
    monkeypatch.setattr(sys.modules[__name__], "COMMAND", HOSTILE)
    assert ktrace_run() == 0
    text = capfd.readouterr().err
    assert all(line.isprintable() for line in text.splitlines())
    assert "create pods n\\x1b/e\\x1b[31m" in text
    assert ktrace_run("--json") == 0
    document = json.loads(capfd.readouterr().err)
    schemas.validate("run", document)
    assert document["apiVersion"] == "ktrace/v1"
    texts = [*document["command"], *map(str, document["requests"][0].values())]
    assert all(text.isprintable() for text in texts)


def test_what_stays_open_is_told_apart_from_reads(
    ktrace_run: Callable[..., int],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    paths = ["/api/v1/pods?watch=1", *["/api/v1/namespaces/a/pods/b/portforward"] * 2]
    calls = f"[u.urlopen(url + path).read() for path in {paths!r}]"
    monkeypatch.setattr(sys.modules[__name__], "COMMAND", f"{COMMAND}; {calls}")
    assert ktrace_run() == 0
    text = capfd.readouterr().err
    for kind in ("1 stream  open for up to", "2 sessions  open for up to", "1 read request"):
        assert kind in text


def test_a_process_that_outlives_the_command_sends_nothing_unreported(
    ktrace_run: Callable[..., int],
    server: FakeServer,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(sys.modules[__name__], "COMMAND", f"exec({OUTLIVED!r}); 0")
    monkeypatch.setenv("FOLDER", str(tmp_path))
    assert ktrace_run("--json") == 0
    (tmp_path / "go").touch()
    end = time.monotonic() + 60
    while not (tmp_path / "done").exists() and time.monotonic() < end:
        time.sleep(0.01)
    assert (tmp_path / "done").read_text() == "refused"
    document = json.loads(capfd.readouterr().err)
    assert [request["resource"] for request in document["requests"]] == ["/before"]
    assert not [request for request in server.requests if request.path == "/after"]


def test_ctrl_c_ends_the_following_and_not_the_report(
    ktrace_run: Callable[..., int],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    def interrupted(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("ktrace.following.follower.time.sleep", interrupted)
    assert ktrace_run("--for", "30") == 0
    assert "1 read request" in capfd.readouterr().err


def test_a_problem_with_the_cluster_is_in_the_report(
    ktrace_run: Callable[..., int], server: FakeServer, capfd: pytest.CaptureFixture[str]
) -> None:
    server.answer = lambda request: Reply(403 if request.path.endswith("/pods") else 200, {})
    assert ktrace_run() == 3
    assert "problem: the cluster's pods cannot be listed: 403" in capfd.readouterr().err


@pytest.mark.parametrize("by", ["--otlp", "OTEL_EXPORTER_OTLP_ENDPOINT"])
def test_without_a_stack_the_command_is_a_trace_where_a_collector_is_named(
    ktrace_run: Callable[..., int],
    server: FakeServer,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    by: str,
) -> None:
    """The server is the collector, too, and Jaeger has what that got."""
    sent: list[str] = []

    def answer(request: Request) -> Reply:
        if request.path == "/v1/traces":
            spans = request.body["resourceSpans"][0]["scopeSpans"][0]["spans"]
            sent.extend(span["traceId"] for span in spans)
        found = [trace(span("ktrace", "run"), trace_id=sent[0])] if sent else []
        wanted = found if sent and request.path.endswith(sent[0]) else []
        return Reply(200, {"data": wanted, "items": []})

    server.answer = answer
    options = ("--otlp", server.url) if by == "--otlp" else ()
    if not options:
        monkeypatch.setenv(by, server.url)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "api-key=hunter2")
    assert ktrace_run(*options, "--json") == 0
    document = json.loads(capfd.readouterr().err)
    schemas.validate("run", document)
    assert document["notes"] == []
    assert document["traceUrl"] == f"{server.url}/trace/{sent[0]}"
    assert len(set(sent)) == 1
    assert len(sent) == 2, "the command, and its request"
    (request,) = server.asked("POST", "/v1/traces")
    assert request.headers.get("api-key") == (None if options else "hunter2")


def test_a_collector_that_is_no_address_is_told_before_the_command_runs(
    ktrace_run: Callable[..., int], capfd: pytest.CaptureFixture[str]
) -> None:
    assert ktrace_run("--otlp", "127.0.0.1:4317") == 2
    printed = capfd.readouterr()
    assert printed.out == ""
    assert "--otlp '127.0.0.1:4317' is not http://HOST:PORT" in printed.err


def test_a_collector_that_fails_is_a_note_without_its_login(
    ktrace_run: Callable[..., int], capfd: pytest.CaptureFixture[str]
) -> None:
    assert ktrace_run("--otlp", "http://me:hunter2@127.0.0.1:9", code=7) == 7
    text = capfd.readouterr().err
    assert "note: the collector did not accept the command's own spans" in text
    assert "hunter2" not in text


@pytest.mark.parametrize(("year", "code"), [(2999, 3), (2000, 0)])
def test_what_a_restart_of_jaeger_may_have_lost_meanwhile_is_a_problem(
    ktrace_run: Callable[..., int],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    year: int,
    code: int,
) -> None:
    """The request has no trace: that may be what was lost."""
    at = datetime(year, 1, 1, tzinfo=UTC)
    loss = MemoryLoss(at)
    monkeypatch.setattr(losses, "memory_of", lambda *_: Memory(at, loss))
    assert ktrace_run("--json") == code
    document = json.loads(capfd.readouterr().err)
    schemas.validate("run", document)
    (note,) = document["notes"]
    assert note.startswith("the command has no trace of its own, as no collector is known")
    told = f"spans may be lost: {loss}" if code else None
    assert document["problem"] == told


def test_a_restart_of_jaeger_that_cost_nothing_is_a_note(
    ktrace_run: Callable[..., int],
    server: FakeServer,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    at = datetime(2999, 1, 2, tzinfo=UTC)  # which is the first west of it
    loss = MemoryLoss(at)
    monkeypatch.setattr(losses, "memory_of", lambda *_: Memory(at, loss))
    tags: dict[str, Any] = {"audit-id": "one"}
    body = {"data": [trace(span("apiserver", "GET", **tags))], "items": []}
    names = {"data": ["apiserver"]}
    server.answer = lambda request: Reply(
        200, names if request.path.endswith("/services") else body, {"Audit-Id": "one"}
    )
    assert ktrace_run() == 0
    told = " ".join(capfd.readouterr().err.split())
    assert "note: spans may be lost: Jaeger restarted at 2999-01-0" in told


def test_a_kubeconfig_that_cannot_be_used_is_wrong_usage(
    ktrace_run: Callable[..., int], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "broken"
    write_kubeconfig(broken, "https://127.0.0.1:9", user={"client-certificate": "absent.crt"})
    assert ktrace_run(kubeconfig=broken) == 2
    printed = capfd.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(f"ktrace: {broken} cannot be used: ")
    assert len(printed.err.splitlines()) == 1


@pytest.fixture
def collected(
    ktrace_run: Callable[..., int], server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., int]:
    """``ktrace_run`` with a collector that answers with ``accepts``.

    Jaeger has the command's trace, with the API server's spans of its request if it ``adopts``.
    """
    outputs = {"otlpHttpEndpoint": server.url}

    def run(*options: str, accepts: int = 200, adopts: bool = False, arrives: bool = True) -> int:
        def answer(request: Request) -> Reply:
            if request.path == "/v1/traces":
                return Reply(accepts)
            if request.path.endswith("/services"):
                return Reply(200, {"data": ["apiserver"]})
            if "/api/traces" in request.path:
                return Reply(200, {"data": found(request.path), "items": []})
            return Reply(200, {"data": [], "items": []}, {"Audit-Id": "one"})

        def found(path: str) -> list[dict[str, Any]]:
            """Those of the API server for a search, the command's own for its id."""
            (version,) = server.asked("GET", "/version")
            own = version.headers["traceparent"].split("-")[1]
            tags: dict[str, Any] = {"audit-id": "one"}
            of_server = span("apiserver", "GET", **tags)
            if "/api/traces/" in path:
                return [trace(span("ktrace", "run"), trace_id=own)] if arrives else []
            return [trace(of_server, trace_id=own if adopts else "t1")]

        server.requests.clear()
        server.answer = answer
        return ktrace_run(*options)

    original = target.choose
    monkeypatch.setattr(
        target,
        "choose",
        lambda *given: replace(original(*given), outputs=outputs),
    )
    return run


def test_the_page_of_a_command_is_first_and_what_joins_it_was_seen(
    collected: Callable[..., int], server: FakeServer, capfd: pytest.CaptureFixture[str]
) -> None:
    for adopts in (False, True):
        assert collected(adopts=adopts) == 0
        first, *more = capfd.readouterr().err.splitlines()
        (sent,) = server.asked("POST", "/v1/traces")
        root, request = sent.body["resourceSpans"][0]["scopeSpans"][0]["spans"]
        assert first == f"{server.url}/trace/{root['traceId']}"
        assert request["parentSpanId"] == root["spanId"]
        text = " ".join(" ".join(more).split())
        assert ("the command alone" in text) is not adopts
        assert ("the command and the API server's spans of 1 of 1 request" in text) is adopts
        assert "note:" not in text
        assert collected("--json", adopts=adopts) == 0
        document = json.loads(capfd.readouterr().err)
        schemas.validate("run", document)
        assert document["requestsInTrace"] == int(adopts)
        assert (document["requests"][0]["traceUrl"] == document["traceUrl"]) is adopts


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"accepts": 503, "arrives": False}, "did not accept the command's own spans: "),
        ({"arrives": False}, "Jaeger does not have them"),
    ],
)
def test_spans_that_do_not_arrive_are_one_note_and_cost_no_code(
    collected: Callable[..., int],
    capfd: pytest.CaptureFixture[str],
    options: dict[str, Any],
    told: str,
) -> None:
    assert collected("--json", **options) == 0
    document = json.loads(capfd.readouterr().err)
    schemas.validate("run", document)
    (note,) = document["notes"]
    assert told in note
    assert document["traceUrl"] is None
    assert document["requestsInTrace"] is None
    assert document["problem"] is None
