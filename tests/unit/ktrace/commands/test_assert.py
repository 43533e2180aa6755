"""``ktrace assert``: met and failed expectations, the JUnit report, and every way to fail."""

from __future__ import annotations

import errno
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree

import httpx
import pytest

from ktrace.commands import assert_ as command
from ktrace.expect import search, shipped
from ktrace.target import losses
from runtime_observability.host.memory_loss import Memory, MemoryLoss
from tests.configuration import PROJECT
from tests.fakes import recorded
from tests.fakes.clock import Clock
from tests.fakes.http import FakeServer, Reply
from tests.fakes.jaeger import URL, data, served, span, trace
from tests.fakes.ktrace import Ktrace
from tests.schemas import validate

POD_START = str(PROJECT / "ktrace/expect/builtin/pod-start.yaml")
EXPECTATIONS = """\
expectations:
- name: a pod is synchronized
  select: {component: kubelet, operation: syncPod}
- name: it is fast [and it fails]
  select: {component: kubelet, operation: syncPod}
  expect: {durationBelowMs: 0.001}
- name: a pod is deleted
  select: {component: kubelet, operation: deletePod}
"""


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """No test waits for spans."""
    return Clock().drive(monkeypatch, search, command)


@pytest.fixture
def jaeger(server: FakeServer) -> str:
    """The URL of a Jaeger with one span: a syncPod of 10 µs that began at the epoch."""

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/operations"):
            return data("syncPod")
        if request.url.params.get("operation") == "deletePod":
            return data()
        return data(trace(span("kubelet", "syncPod")))

    server.answer = served(answer)
    return server.url


def test_a_broken_pipe_that_is_not_that_of_stdout_is_told(
    ktrace: Ktrace, jaeger: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ended with 1 and without a word: a program's pipe or a connection was closed."""

    def fails(*_: object) -> None:
        raise OSError(errno.EPIPE, os.strerror(errno.EPIPE))

    monkeypatch.setattr(search, "wait_for_verdicts", fails)
    failed = ktrace("assert", POD_START, "--set", "POD=a/b", "--jaeger", jaeger, "--json")
    assert failed.returncode == 2
    assert failed.document["error"] == {"message": "Broken pipe", "exitCode": 2}
    assert failed.stderr == "ktrace: Broken pipe\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "wanted.yaml"
    path.write_text(EXPECTATIONS)
    return path


def test_all_met_twice_in_a_row_is_0(ktrace: Ktrace, server: FakeServer, clock: Clock) -> None:
    pod_start = httpx.QueryParams(
        service="kubelet", operation="syncPod", tags=json.dumps({"k8s.pod": "default/echo-one"})
    )
    recording = recorded.handler("echo-one")(
        httpx.Request("GET", f"{URL}/api/traces", params=pod_start)
    )

    def answer(request: httpx.Request) -> httpx.Response:
        is_pattern = "(" in request.url.params.get("tags", "")
        return data() if is_pattern else recording

    server.answer = served(answer)
    begin = clock.now
    pod = "POD=default/echo-one"
    shown = ktrace("assert", POD_START, "--set", pod, "--jaeger", server.url)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.lines == [
        "ok      the kubelet's start of the pod calls containerd for a sandbox (1 span)",
        "ok      containerd sets up the pod's network in less than ten seconds (1 span)",
        "ok      its container is started (1 span)",
    ]
    assert clock.now - begin == 1, "one pause between two searches"


def test_what_is_not_met_is_1_when_the_time_is_up(
    ktrace: Ktrace, jaeger: str, file: Path, clock: Clock
) -> None:
    begin = clock.now
    shown = ktrace("assert", str(file), "--jaeger", jaeger, "--timeout", "2")
    assert (shown.returncode, shown.stderr) == (1, "")
    assert clock.now - begin == 2
    assert shown.lines == [
        "ok      a pod is synchronized (1 span)",
        "FAILED  it is fast [and it fails] (1 span)",
        "        kubelet syncPod (0.0 ms, trace t1) is not below 0.001 ms",
        "FAILED  a pod is deleted (0 spans)",
        "        number of spans: expected at least 1, found 0",
        "        nearest: kubelet syncPod (0.0 ms, trace t1): operation is syncPod",
    ]


def test_the_json_has_every_verdict(ktrace: Ktrace, jaeger: str, file: Path) -> None:
    shown = ktrace("assert", str(file), "--jaeger", jaeger, "--timeout", "0", "--json")
    assert (shown.returncode, shown.stderr) == (1, "")
    validate("assert", shown.document)
    assert shown.document == {
        "apiVersion": "ktrace/v1",
        "ok": False,
        "expectations": [
            {
                "name": "a pod is synchronized",
                "ok": True,
                "judged": True,
                "found": 1,
                "counted": "span",
                "failures": [],
                "nearest": [],
                "notes": [],
            },
            {
                "name": "it is fast [and it fails]",
                "ok": False,
                "judged": True,
                "found": 1,
                "counted": "span",
                "failures": ["kubelet syncPod (0.0 ms, trace t1) is not below 0.001 ms"],
                "nearest": [],
                "notes": [],
            },
            {
                "name": "a pod is deleted",
                "ok": False,
                "judged": True,
                "found": 0,
                "counted": "span",
                "failures": ["number of spans: expected at least 1, found 0"],
                "nearest": ["kubelet syncPod (0.0 ms, trace t1): operation is syncPod"],
                "notes": [],
            },
        ],
    }


def test_the_junit_report_has_a_case_for_each_and_its_failures(
    ktrace: Ktrace, jaeger: str, file: Path, tmp_path: Path
) -> None:
    report = tmp_path / "report.xml"
    ktrace("assert", str(file), "--jaeger", jaeger, "--timeout", "2", "--junit", str(report))
    suite = ElementTree.fromstring(report.read_text())  # noqa: S314  ktrace has written it
    assert (suite.get("name"), suite.get("tests"), suite.get("failures")) == ("wanted", "3", "2")
    assert float(suite.get("time", "")) == 2
    cases = {case.get("name"): case.find("failure") for case in suite.iter("testcase")}
    assert list(cases) == ["a pod is synchronized", "it is fast [and it fails]", "a pod is deleted"]
    assert cases["a pod is synchronized"] is None


def test_a_report_that_cannot_be_written_is_wrong_usage(
    ktrace: Ktrace, jaeger: str, file: Path, tmp_path: Path
) -> None:
    options = ("--jaeger", jaeger, "--timeout", "0", "--junit", str(tmp_path))
    refused = ktrace("assert", str(file), *options)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr == f"ktrace: {tmp_path} cannot be written: it is a folder: name a file\n"


@pytest.mark.parametrize("pair", ["POD", "=x", ""])
def test_a_set_without_name_or_value_is_wrong_usage(ktrace: Ktrace, jaeger: str, pair: str) -> None:
    refused = ktrace("assert", POD_START, "--set", pair, "--jaeger", jaeger)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr == f"ktrace: --set {pair!r} is not NAME=VALUE\n"


def test_a_value_may_be_empty_or_hold_an_equals_sign(
    ktrace: Ktrace, jaeger: str, file: Path
) -> None:
    file.write_text("expectations: [{name: '${A}|${B}', select: {component: kubelet}}]")
    options = ("--set", "A=", "--set", "B=x=y", "--jaeger", jaeger, "--timeout", "0")
    shown = ktrace("assert", str(file), *options)
    assert shown.lines == ["ok      |x=y (1 span)"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "is not valid YAML"),
        ("[]", "the file: "),
        ("expectations: []", "expectations: is empty: add an expectation"),
        ("expectations: [{name: a, select: {}}]", "expectation 1 'a', select.component: "),
        ('expectations: [{name: "\\e[31m", select: {}}]', r"expectation 1 '\x1b[31m', select"),
        ("expectations: [{name: '${POD}', select: {component: a}}]", "add --set POD=VALUE"),
        ("expectations: [{name: '$', select: {component: a}}]", "write $$ for a plain $"),
    ],
)
def test_a_broken_file_is_wrong_usage(
    ktrace: Ktrace, jaeger: str, file: Path, text: str, problem: str
) -> None:
    file.write_text(text)
    refused = ktrace("assert", str(file), "--jaeger", jaeger)
    assert (refused.returncode, refused.stdout) == (2, "")
    (line,) = refused.stderr.splitlines()
    assert line.startswith(f"ktrace: {file}")
    assert problem in line


def test_an_absent_file_is_wrong_usage(ktrace: Ktrace, jaeger: str, tmp_path: Path) -> None:
    refused = ktrace("assert", str(tmp_path / "absent"), "--jaeger", jaeger)
    assert refused.returncode == 2
    assert refused.stderr == (
        f"ktrace: {tmp_path / 'absent'} cannot be read: No such file or directory. Repair that, or "
        "name another file\n"
    )


def test_an_unreachable_jaeger_is_3_and_an_error_of_every_expectation(
    ktrace: Ktrace, file: Path, tmp_path: Path
) -> None:
    report = tmp_path / "report.xml"
    options = ("--jaeger", "http://127.0.0.1:9", "--junit", str(report))
    refused = ktrace("assert", str(file), *options)
    assert (refused.returncode, refused.stdout) == (3, "")
    silent = "Jaeger at http://127.0.0.1:9 cannot be reached: "
    assert refused.stderr.startswith(f"ktrace: {silent}")
    suite = ElementTree.fromstring(report.read_text())  # noqa: S314  ktrace has written it
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("3", "0", "3")
    errors = [error.get("message", "") for error in suite.iterfind("testcase/error")]
    assert len(errors) == 3
    assert all(error.startswith(silent) for error in errors)


def test_an_absence_that_nothing_shows_is_1_and_says_so(
    ktrace: Ktrace, jaeger: str, file: Path, clock: Clock
) -> None:
    """The only span there is began long before the assertion."""
    begin = clock.now
    file.write_text(
        "expectations: [{name: no pod is deleted, "
        "select: {component: kubelet, operation: deletePod}, expect: {count: 0}}]"
    )
    shown = ktrace("assert", str(file), "--jaeger", jaeger, "--timeout", "3")
    assert (shown.returncode, shown.stderr) == (1, "")
    assert shown.lines == [
        "?       no pod is deleted (0 spans)",
        "        not known: within 3 s no span of kubelet arrived that began after this assertion, "
        "so others may still be on their way. Check the name, run `ktrace verify`, or wait longer "
        "with --timeout; only count: {min: N} can be judged of a component that has ended",
    ]
    assert clock.now - begin == 3
    (verdict,) = ktrace(
        "assert", str(file), "--jaeger", jaeger, "--timeout", "0", "--json"
    ).document["expectations"]
    assert (verdict["ok"], verdict["judged"]) == (False, False)


def test_an_absence_in_what_a_restart_of_jaeger_lost_is_1(
    ktrace: Ktrace, jaeger: str, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loss = MemoryLoss(datetime(2999, 1, 1, tzinfo=UTC))
    monkeypatch.setattr(losses, "memory_of", lambda *_: Memory(loss.at, loss))
    file.write_text(
        "expectations: [{name: no pod is deleted, "
        "select: {component: kubelet, operation: deletePod}, expect: {count: 0}}]"
    )
    report = tmp_path / "report.xml"
    options = ("--jaeger", jaeger, "--timeout", "0", "--junit", str(report), "--json")
    shown = ktrace("assert", str(file), *options)
    assert shown.returncode == 1
    validate("assert", shown.document)
    (verdict,) = shown.document["expectations"]
    assert (verdict["ok"], verdict["judged"]) == (False, False)
    assert verdict["failures"][0] == (
        f"not known: spans of the 600 s that are judged are lost: {loss}. Repeat what is expected, "
        "or lower sinceSeconds"
    )
    suite = ElementTree.fromstring(report.read_text())  # noqa: S314  ktrace has written it
    assert suite.get("failures") == "1"


def test_a_verdict_with_a_limit_says_so(ktrace: Ktrace, jaeger: str, file: Path) -> None:
    file.write_text(
        "expectations: [{name: none fails, select: {component: kubelet}, expect: {noErrors: true}}]"
    )
    shown = ktrace("assert", str(file), "--jaeger", jaeger, "--timeout", "1")
    assert shown.returncode == 0
    assert shown.lines == [
        "ok      none fails (1 span)",
        "        note: within 1 s no span of kubelet arrived that began after this assertion, so "
        "others may still be on their way",
    ]


def test_nothing_in_a_file_or_a_span_reaches_the_terminal_raw(
    ktrace: Ktrace, server: FakeServer, file: Path, tmp_path: Path
) -> None:
    hostile = "\x1b]0;x\x07\u202e\ud800\nok"
    one = span("kubelet", f"sync{hostile}", error=True)
    one["tags"].append({"key": "otel.status_description", "value": hostile})
    server.answer = lambda _: Reply(200, {"data": [trace(one)]})
    file.write_text(
        f"expectations: [{{name: {json.dumps(hostile[:-4] + 'ok')}, "
        "select: {component: kubelet, attributes: {no: such}}}, "
        "{name: b, select: {component: kubelet}, expect: {count: 0, noErrors: true}}]"
    )
    report = tmp_path / "report.xml"
    shown = ktrace(
        *("assert", str(file), "--jaeger", server.url, "--timeout", "0", "--junit", str(report))
    )
    assert shown.returncode == 1
    assert len(shown.lines) == 6
    assert all(line.isprintable() for line in shown.lines)
    assert ElementTree.fromstring(report.read_bytes()).get("failures") == "2"  # noqa: S314


def test_shipped_expectations_have_names(ktrace: Ktrace, jaeger: str) -> None:
    shown = ktrace("assert", "control-plane", "--jaeger", jaeger, "--timeout", "0")
    assert shown.returncode == 1
    assert shown.lines[0] == "FAILED  pods are bound by the scheduler within a second (0 spans)"
    refused = ktrace("assert", "control-plan", "--jaeger", jaeger)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr == (
        "ktrace: 'control-plan' is neither a file nor the name of shipped expectations; their "
        "names are control-plane and pod-start\n"
    )


def test_the_help_names_what_is_shipped(ktrace: Ktrace) -> None:
    help_text = " ".join(ktrace("assert", "--help").stdout.split())
    assert f"FILE is a path, or {' or '.join(reversed(shipped.names()))}" in help_text


def test_without_a_stack_it_is_wrong_usage(
    ktrace: Ktrace, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    refused = ktrace("assert", str(file))
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "the stack cannot be read: `pulumi` is not on PATH" in refused.stderr
