"""``top``, ``assert`` and ``run`` from a bundle."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from ktrace.errors import UsageError
from ktrace.following.follower import Follower
from tests.fakes.http import FakeServer, Reply, Request, write_kubeconfig
from tests.fakes.jaeger import served, span, trace
from tests.fakes.ktrace import Ktrace
from tests.fakes.store import Store
from tests.schemas import validate
from tests.unit.ktrace.commands.test_top import trace as request_trace

EXPECTATIONS = """\
expectations:
  - name: the kubelet syncs
    select: {component: kubelet, operation: syncPod}
    expect: {count: {min: 1}}
  - name: nothing fails
    select: {component: kubelet}
    expect: {count: {max: 5}, noErrors: true}
"""


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda _: None)


@pytest.fixture
def jaeger(server: FakeServer) -> str:
    """With requests of the last minutes."""
    traces = [
        request_trace("GET", f"/api/v1/namespaces/a/pods/{number}", seconds_ago=ago)
        for number, ago in enumerate((5, 10, 100, 200))
    ]
    server.answer = served(Store(traces).answer)
    return server.url


def test_top_counts_what_it_counted(ktrace: Ktrace, jaeger: str, tmp_path: Path) -> None:
    file = tmp_path / "top.json"
    live = ktrace("top", "--jaeger", jaeger, "--json", "--save", str(file))
    assert live.document["rows"][0]["count"] == 4
    validate("bundle", json.loads(file.read_text()))
    assert ktrace("top", "--from", str(file), "--json").stdout == live.stdout
    text = ktrace("top", "--from", str(file)).stdout
    assert text == ktrace("top", "--from", str(file), "--since", "10m").stdout
    recent = ktrace("top", "--from", str(file), "--since", "30s", "--by", "object", "--json")
    assert [row["count"] for row in recent.document["rows"]] == [1, 1]


def test_a_period_that_reaches_further_back_is_not_in_it(
    ktrace: Ktrace, jaeger: str, tmp_path: Path
) -> None:
    file = tmp_path / "top.json"
    ktrace("top", "--jaeger", jaeger, "--since", "1m", "--save", str(file))
    done = ktrace("top", "--from", str(file), "--since", "2m")
    assert done.returncode == 2
    assert "it has what `ktrace top --since 1m` read at 2" in done.stderr


def test_expectations_are_judged_as_they_were(
    ktrace: Ktrace, server: FakeServer, tmp_path: Path
) -> None:
    """What later spans could break was not known, and it is not known again."""
    start = int((time.time() - 60) * 1_000_000)
    sync = span("kubelet", "syncPod", start)
    server.answer = served(Store([trace(sync)]).answer)
    (tmp_path / "e.yaml").write_text(EXPECTATIONS)
    file = tmp_path / "judged.json"
    arguments = ("assert", str(tmp_path / "e.yaml"))
    options = ("--jaeger", server.url, "--timeout", "0", "--save", str(file))
    live = ktrace(*arguments, *options, "--json")
    assert [found["ok"] for found in live.document["expectations"]] == [True, False]
    again = ktrace(*arguments, "--from", str(file), "--json")
    assert (again.returncode, again.stdout) == (live.returncode, live.stdout)
    (tmp_path / "e.yaml").write_text(EXPECTATIONS.replace("min: 1", "min: 2"))
    other = ktrace(*arguments, "--from", str(file), "--json")
    assert [found["ok"] for found in other.document["expectations"]] == [False, False]


def test_expectations_that_are_not_named_are_those_of_then(
    ktrace: Ktrace, server: FakeServer, tmp_path: Path
) -> None:
    server.answer = served(Store([]).answer)
    (tmp_path / "e.yaml").write_text(EXPECTATIONS.replace("min: 1", "min: $LEAST"))
    file = tmp_path / "judged.json"
    options = ("--jaeger", server.url, "--timeout", "0", "--save", str(file), "--json")
    live = ktrace("assert", str(tmp_path / "e.yaml"), "--set", "LEAST=1", *options)
    again = ktrace("assert", "--from", str(file), "--json")
    assert (again.returncode, again.stdout) == (live.returncode, live.stdout)
    nothing = ktrace("assert", "--jaeger", server.url)
    assert nothing.returncode == 2
    assert "no expectations are named: write ktrace assert FILE" in nothing.stderr


def test_a_bundle_of_another_command_says_which(
    ktrace: Ktrace, jaeger: str, tmp_path: Path
) -> None:
    """Where the command cannot go on without what that bundle does not tell."""
    file = tmp_path / "top.json"
    ktrace("top", "--jaeger", jaeger, "--save", str(file))
    for command in ("show", "assert"):
        done = ktrace(command, "--from", str(file))
        (line,) = done.stderr.splitlines()
        assert done.returncode == 2
        assert line.endswith(f"`ktrace top --from {file}` answers from it")


COMMAND = """\
import os, re, urllib.request as u
url = re.search('server: (.*)', open(os.environ['KUBECONFIG']).read())[1]
u.urlopen(u.Request(url + '/api/v1/namespaces/shop/pods', method='POST', data=b'{}'))
"""


def pod(**metadata: Any) -> dict[str, Any]:
    container = {"name": "main", "image": "a", "args": ["hunter2"]}
    status = {"phase": "Pending", "conditions": []}
    meta = {"namespace": "shop", "name": "web-0", "uid": "u-1", **metadata}
    return {"metadata": meta, "spec": {"containers": [container]}, "status": status}


@pytest.mark.parametrize("in_time", [True, False])
def test_a_command_is_reported_again_and_not_run_again(
    ktrace: Ktrace,
    server: FakeServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    in_time: bool,
) -> None:
    """Also where the time did not suffice to read what the cluster has of each pod."""
    created = False
    if not in_time:
        monkeypatch.setattr(Follower, "_add_starts", lambda *_: None)

    def answer(request: Request) -> Reply:
        nonlocal created
        if request.method == "POST":
            created = True
            return Reply(201, {"kind": "Pod", **pod()}, {"Audit-Id": "a-1"})
        if request.path == "/api/v1/pods":
            return Reply(body={"kind": "PodList", "items": [pod()] if created else []})
        return Reply(body={"data": [], "items": []})

    server.answer = answer
    write_kubeconfig(tmp_path / "config", server.url)
    file, report = tmp_path / "run.json", tmp_path / "report.json"
    marker = f"open({str(tmp_path / 'ran')!r}, 'a').write('x')"
    done = ktrace(
        *("run", "--for", "0", "--json", "--report", str(report), "--save", str(file)),
        *("--jaeger", server.url, "--kubeconfig", str(tmp_path / "config")),
        *("--", sys.executable, "-c", f"{COMMAND}\n{marker}"),
    )
    assert done.returncode == 0, done.stderr
    assert "does not answer" not in done.stderr
    live = json.loads(report.read_text())
    assert [found["name"] for found in live["pods"]] == ["web-0"]
    asked = len(server.requests)
    again = ktrace("run", "--from", str(file), "--json")
    replayed = json.loads(again.stderr)
    validate("run", replayed)
    assert replayed.pop("command") == [sys.executable, "-c", "…"]
    live.pop("command")
    assert replayed == live
    assert again.stdout == ""
    assert (len(server.requests), (tmp_path / "ran").read_text()) == (asked, "x")
    text = file.read_text()
    validate("bundle", json.loads(text))
    assert "hunter2" not in text
    assert "urlopen" not in text


def test_a_count_tells_no_start_and_is_not_saved_while_it_goes_on(
    ktrace: Ktrace, jaeger: str, tmp_path: Path
) -> None:
    file = tmp_path / "top.json"
    ktrace("top", "--jaeger", jaeger, "--save", str(file))
    done = ktrace("show", "web-0", "--from", str(file))
    assert done.returncode == 2
    assert "does not tell that" in done.stderr
    watched = ktrace("top", "--watch", "--save", str(file))
    assert watched.returncode == 2


def test_a_save_that_fails_does_not_hide_the_commands_code(
    ktrace: Ktrace, server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(path: Path, _: object) -> None:
        raise UsageError(f"{path} cannot be written: disk full")

    monkeypatch.setattr("ktrace.bundle.file.write", fail)
    server.answer = lambda _: Reply(body={"data": [], "items": []})
    write_kubeconfig(tmp_path / "config", server.url)
    target = ("--jaeger", server.url, "--kubeconfig", str(tmp_path / "config"))
    command = (sys.executable, "-c", f"{COMMAND}\nraise SystemExit(7)")
    save = ("--save", str(tmp_path / "run.json"))
    done = ktrace("run", "--for", "0", *save, *target, "--", *command)
    assert done.returncode == 7
    assert "disk full" in done.stderr


def test_run_without_a_command_says_so(ktrace: Ktrace) -> None:
    done = ktrace("run")
    assert done.returncode == 2
    assert "no command is given: write ktrace run -- COMMAND" in done.stderr
