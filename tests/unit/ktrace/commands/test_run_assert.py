"""``ktrace run --assert``: what is refused before the command runs, and how it ends."""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from ktrace.cli import main
from ktrace.expect import settling
from tests import schemas
from tests.fakes.http import FakeServer, Reply, Request, write_kubeconfig
from tests.fakes.jaeger import span, trace

_CONFIGMAPS = "/api/v1/namespaces/default/configmaps"
_COMMAND = f"""\
import os, re, urllib.request as u
open(os.environ["MARK"], "w").close()
url = re.search("server: (.*)", open(os.environ["KUBECONFIG"]).read())[1]
u.urlopen(u.Request(url + "{_CONFIGMAPS}", method="POST", data=b"{{}}")).read()"""


class Cluster:
    """A server that is both Jaeger and the API; ``writes`` are by another than the command."""

    def __init__(self, server: FakeServer) -> None:
        self.writes: Callable[[int], bool] = lambda second: False
        self.traced = True
        self.took_ms = 5
        self._server = server
        self._began = time.time()
        self._asked = 0.0
        server.answer = self._answer

    def _answer(self, request: Request) -> Reply:
        if request.path.startswith("/api/traces"):
            return Reply(200, {"data": self._found(request.path)})
        if request.path.startswith("/api/services"):
            return Reply(200, {"data": ["apiserver"]})
        if request.method == "POST":
            self._asked = time.time()
            document = {"kind": "ConfigMap", "metadata": {"name": "a", "uid": "u"}}
            return Reply(201, document, {"Audit-Id": "own"})
        return Reply(200, {"items": []})

    def _found(self, path: str) -> list[dict[str, Any]]:
        """The command's request and, each second, what the API server asks itself and a write."""
        if not self.traced:
            return []
        now = time.time()
        begin = int(self._began * 1_000_000)
        own = self._request("own", "POST", _CONFIGMAPS, int(self._asked * 1_000_000))
        own["spans"][0]["duration"] = self.took_ms * 1000
        found = [own]
        for tick in range(int((now - self._began) * 10)):
            at = begin + tick * 100_000
            found.append(self._request(f"lease{tick}", "PUT", "/apis/x/v1/leases/l", at))
            if self.writes(tick):
                found.append(self._request(f"loop{tick}", "PATCH", f"{_CONFIGMAPS}/a", at))
        wanted = re.search(r"start=([0-9]+)", path)
        least = int(wanted[1]) if wanted else 0
        return [one for one in found if one["spans"][0]["startTime"] >= least]

    @staticmethod
    def _request(name: str, method: str, path: str, at: int) -> dict[str, Any]:
        tags = {
            "span.kind": "server",
            "http.method": method,
            "http.target": path,
            "http.user_agent": "hot-loop/1",
            "audit-id": name,
        }
        served = span("apiserver", f"s-{name}", at, **tags) | {"traceID": name}
        return trace(served, trace_id=name)


@pytest.fixture
def cluster(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    monkeypatch.setattr(settling, "_POLL_SECONDS", 0.05)
    monkeypatch.setattr(settling, "_ARRIVAL_SECONDS", 1.5)
    monkeypatch.setattr("ktrace.following.follower._QUIET_SECONDS", 0.2)
    monkeypatch.setattr("ktrace.following.follower._POLL_SECONDS", 0.1)
    return Cluster(server)


@pytest.fixture
def run(
    cluster: Cluster, server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., int]:
    """Runs a command that creates ConfigMap a; the exit code of ktrace.

    Nothing is asserted if nothing is ``wanted``.
    """
    write_kubeconfig(tmp_path / "config", server.url)
    monkeypatch.setenv("MARK", str(tmp_path / "it-ran"))

    def run(wanted: str, *options: str, code: int = 0) -> int:
        file = tmp_path / "wanted.yaml"
        file.write_text(wanted)
        target = ["--jaeger", server.url, "--kubeconfig", str(tmp_path / "config")]
        command = [sys.executable, "-c", f"{_COMMAND}\nraise SystemExit({code})"]
        expected = ["--assert", str(file)] if wanted else []
        arguments = ["run", "--for", "5", *target, *expected, *options]
        monkeypatch.setattr(sys, "argv", ["ktrace", *arguments, "--", *command])
        with pytest.raises(SystemExit) as ended:
            main()
        return int(ended.value.code or 0)

    return run


QUIET = "expectations:\n- {name: quiet, quietFor: 500ms}\n"
FAST = """\
expectations:
- {name: one write, request: {verb: write}, expect: {count: 1, durationBelowMs: 100}}
"""
REFUSED = "expectations:\n- {name: none, request: {verb: write}, expect: {count: 0}}\n"


def test_expectations_that_are_met_cost_nothing(
    run: Callable[..., int], capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(QUIET + FAST.removeprefix("expectations:\n")) == 0
    text = capfd.readouterr().err
    assert "ok      quiet (0 writes)\n" in text
    assert "note: whether this Jaeger is sent every request is not known\n" in text
    assert "ok      one write (1 request)" in text


@pytest.mark.parametrize(("own", "code"), [(0, 1), (7, 7)])
def test_one_that_is_not_met_ends_with_1_unless_the_command_failed(
    run: Callable[..., int], capfd: pytest.CaptureFixture[str], own: int, code: int
) -> None:
    assert run(REFUSED, "--json", code=own) == code
    document = json.loads(capfd.readouterr().err)
    schemas.validate("run", document)
    (one,) = document["expectations"]
    assert (one["suite"], one["ok"], one["judged"], one["counted"]) == (
        "wanted",
        False,
        True,
        "request",
    )
    assert one["failures"][0].startswith("number of requests: expected 0, found 1: create configma")


def test_who_keeps_writing_is_named(
    run: Callable[..., int], cluster: Cluster, capfd: pytest.CaptureFixture[str]
) -> None:
    cluster.writes = lambda tick: tick % 2 == 0
    assert run(QUIET) == 1
    text = capfd.readouterr().err
    assert "FAILED  quiet (" in text
    assert re.search(r"hot-loop/1 wrote configmaps/default/a [0-9]+ times, the longest ", text)


def test_what_cannot_be_judged_is_not_met(
    run: Callable[..., int], cluster: Cluster, capfd: pytest.CaptureFixture[str]
) -> None:
    cluster.traced = False
    assert run(QUIET + FAST.removeprefix("expectations:\n")) == 1
    text = " ".join(capfd.readouterr().err.split())
    assert "? quiet (0 writes) not known: no span of apiserver has arrived" in text
    assert "? one write (1 request) not known: no span of apiserver has arrived" in text
    assert "not known: Jaeger has no spans of 1 request of the command" in text


@pytest.mark.parametrize(
    ("wanted", "options", "told"),
    [
        (
            "expectations:\n- name: a\n  quietFor: soon\n",
            (),
            "wanted.yaml: line 3, expectation 1 'a', quietFor: 'soon' is not a time: write 500ms,",
        ),
        ("expectations: [", (), "wanted.yaml: is not valid YAML: line 1, column "),
        (QUIET, ("--assert", "pod-start"), "pod-start.yaml: line 7: ${POD} has no value: add --se"),
        (QUIET, ("--assert", "nothing"), "'nothing' is neither a file nor the name of shipped ex"),
        (QUIET, ("--set", "POD"), "--set 'POD' is not NAME=VALUE"),
        (QUIET, ("--junit", "/no/such/folder/x.xml"), "/no/such/folder/x.xml cannot be written: "),
    ],
)
def test_a_mistake_is_told_before_the_command_runs(
    run: Callable[..., int],
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
    wanted: str,
    *,
    options: tuple[str, ...],
    told: str,
) -> None:
    assert run(wanted, *options) == 2
    printed = capfd.readouterr()
    assert told in printed.err
    assert len(printed.err.splitlines()) == 1
    assert not (tmp_path / "it-ran").exists()


def test_a_mistake_is_in_the_report_where_that_is_json(
    run: Callable[..., int], tmp_path: Path
) -> None:
    report = tmp_path / "report.json"
    assert run("expectations: []", "--json", "--report", str(report)) == 2
    document = json.loads(report.read_text())
    schemas.validate("error", document)
    assert "expectations: is empty: add an expectation" in document["error"]["message"]
    assert not (tmp_path / "it-ran").exists()


@pytest.mark.parametrize("option", [("--set", "A=b"), ("--junit", "x.xml")])
def test_an_option_of_expectations_needs_some(
    server: FakeServer,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    option: tuple[str, str],
) -> None:
    arguments = ["run", "--jaeger", server.url, *option, "--", "true"]
    monkeypatch.setattr(sys, "argv", ["ktrace", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert f"{option[0]} is for expectations: add --assert FILE" in capfd.readouterr().err


@pytest.mark.parametrize("while_", ["following", "settling"])
def test_ctrl_c_leaves_them_unjudged_and_the_report_as_it_is(
    run: Callable[..., int],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    while_: str,
) -> None:
    def interrupted(_: float) -> None:
        raise KeyboardInterrupt

    module = "following.follower" if while_ == "following" else "expect.settling"
    monkeypatch.setattr(f"ktrace.{module}.time.sleep", interrupted)
    assert run(QUIET) == 130
    text = " ".join(capfd.readouterr().err.split())
    assert "create configmaps default/a 201" in text
    assert "? quiet (0 writes) not known: Ctrl-C ended the wait for what decides" in text


def test_several_files_are_several_suites(
    run: Callable[..., int], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    other, report = tmp_path / "other.yaml", tmp_path / "report.xml"
    other.write_text(REFUSED)
    assert run(FAST, "--assert", str(other), "--junit", str(report)) == 1
    text = capfd.readouterr().err
    assert text.index("\nwanted:\nok ") < text.index("\nother:\nFAILED ")
    suites = ET.parse(report).getroot()  # noqa: S314  it is ktrace's own
    assert suites.tag == "testsuites"
    assert [(one.get("name"), one.get("failures")) for one in suites] == [
        ("wanted", "0"),
        ("other", "1"),
    ]


def test_a_command_that_cannot_run_is_an_error_in_the_junit_report(
    run: Callable[..., int], server: FakeServer, tmp_path: Path
) -> None:
    server.answer = lambda request: Reply(500, "broken")
    report = tmp_path / "report.xml"
    assert run(FAST, "--junit", str(report)) == 3
    assert ET.parse(report).getroot().get("errors") == "1"  # noqa: S314  it is ktrace's own
    assert not (tmp_path / "it-ran").exists()


def test_a_report_that_cannot_be_written_costs_no_code_of_the_command(
    run: Callable[..., int], capfd: pytest.CaptureFixture[str]
) -> None:
    assert os.access("/dev/full", os.W_OK)
    assert run(FAST, "--junit", "/dev/full", code=7) == 7
    assert "/dev/full cannot be written: No space left" in capfd.readouterr().err
    assert run(FAST, "--junit", "/dev/full") == 2
