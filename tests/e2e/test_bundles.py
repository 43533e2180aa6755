"""What --save writes answers alike where there is no cluster, no Jaeger and no network."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.ktrace import document, ktrace, running
from tests.live.pods import Pods, pods
from tests.live.stack import Stack
from tests.live.waiting import until
from tests.schemas import validate

_OFFLINE = """\
import sys
sys.path.insert(0, sys.argv.pop(1))
refused = lambda event, _: event in ("socket.connect", "subprocess.Popen") and sys.exit(99)
sys.addaudithook(refused)
from ktrace.cli import main
main()
"""
"""ktrace in a process that can neither connect to anything nor start anything."""


_WANTED = """\
expectations:
- {name: labelled, request: {verb: patch, resource: pods, name: $NAME}, expect: {count: 1}}
- {name: no webhook, webhook: "*", expect: {count: 0}}
"""
_OTHER = """\
expectations:
- {name: fast, request: {verb: write}, expect: {durationBelowMs: 0.001}}
- {name: watched, quietFor: 1s}
- {name: one, request: {verb: write}, expect: {count: 1, noErrors: true}}
"""


def offline(stack: Stack, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    empty = folder / "empty"
    empty.mkdir(exist_ok=True)
    python = str(stack.folder / ".venv/bin/python")
    return subprocess.run(
        [python, "-c", _OFFLINE, str(stack.folder), *arguments],
        cwd=empty,
        env={"PATH": os.defpath, "HOME": str(empty)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bundles")


def test_a_start_a_command_and_a_count_are_answered_alike_offline(
    stack: Stack, folder: Path
) -> None:
    start, ran, counted = (folder / name for name in ("start.json", "run.json.gz", "top.json"))
    report = folder / "report.json"
    with pods(stack, "true") as single:
        single.wait_for("Succeeded")
        name = f"{single.name}-0"
        shown = ktrace(stack, "show", name, "--json", "--save", str(start), "--stack", stack.name)
        assert shown.returncode == 0, shown.stderr
        patch = ["kubectl", "label", "pod", name, "by=e2e"]
        (folder / "wanted.yaml").write_text(_WANTED)
        wanted = ["--assert", str(folder / "wanted.yaml"), "--set", f"NAME={name}"]
        options = ["--for", "10", "--json", "--report", str(report), "--save", str(ran)]
        done = ktrace(stack, "run", *options, *wanted, "--stack", stack.name, "--", *patch)
        assert done.returncode == 0, done.stderr
    top = ktrace(
        stack, "top", "--since", "20s", "--json", "--save", str(counted), "--stack", stack.name
    )
    assert top.returncode == 0, top.stderr
    validate("bundle", json.loads(start.read_text()))

    again = offline(stack, folder, "show", name, "--json", "--from", str(start))
    assert (again.returncode, again.stdout, again.stderr) == (0, shown.stdout, "")
    again = offline(stack, folder, "top", "--json", "--from", str(counted))
    assert (again.returncode, again.stdout, again.stderr) == (0, top.stdout, "")
    again = offline(stack, folder, "run", "--json", "--from", str(ran))
    assert again.returncode == 0, again.stderr
    live, replayed = json.loads(report.read_text()), json.loads(again.stderr)
    assert live.pop("command") == [*patch[:-1], "by=e2e"]
    assert replayed.pop("command") == [*patch[:-1], "by=…"]
    assert replayed == live
    assert [one["ok"] for one in live["expectations"]] == [True, True]
    (folder / "other.yaml").write_text(_OTHER)
    options = ["--json", "--from", str(ran), "--assert", str(folder / "other.yaml")]
    judged = offline(stack, folder, "run", *options)
    assert judged.returncode == 1, judged.stderr
    found = {
        one["name"]: (one["ok"], one["judged"]) for one in json.loads(judged.stderr)["expectations"]
    }
    assert found == {"fast": (False, True), "watched": (False, False), "one": (True, True)}
    other = offline(stack, folder, "show", "another", "--from", str(start))
    assert (other.returncode, len(other.stderr.splitlines())) == (2, 1)
    assert f"`ktrace show {name}`" in other.stderr
    print(f"bundles: {[(file.name, file.stat().st_size) for file in folder.glob('*.json*')]}")


def test_a_boot_is_told_alike_offline(stack: Stack, folder: Path) -> None:
    file = folder / "boot.json.gz"
    live = ktrace(stack, "boot", "--save", str(file), "--stack", stack.name)
    assert live.returncode == 0, live.stderr
    again = offline(stack, folder, "boot", "--from", str(file))
    assert (again.returncode, again.stdout, again.stderr) == (0, live.stdout, "")


def test_a_verdict_is_told_alike_offline(stack: Stack, folder: Path) -> None:
    file = folder / "verify.json.gz"
    live = ktrace(stack, "verify", "--json", "--save", str(file), "--stack", stack.name)
    assert live.returncode == 0, live.stderr
    again = offline(stack, folder, "verify", "--json", "--from", str(file))
    assert (again.returncode, again.stdout, again.stderr) == (0, live.stdout, "")


def _has_lines(file: Path, number: int) -> bool:
    return len(file.read_text().splitlines()) >= number


def _has_gone(single: Pods) -> bool:
    return not single.phases


def test_starts_that_were_watched_are_told_alike_offline(stack: Stack, folder: Path) -> None:
    """Also those that are told of a pod whose name another one has later."""
    file, told = folder / "watch.json.gz", folder / "lines"
    options = ("--json", "--save", str(file))
    with told.open("w") as output, running(stack, "watch", *options, stdout=output) as watch:
        assert watch.stderr
        watch.stderr.readline()
        for number in (1, 2):
            with pods(stack, "sleep", "60", name="again") as single:
                single.wait_for("Running")
                until("its line", partial(_has_lines, told, number), 60)
            until("its end", partial(_has_gone, single), 60)
        watch.send_signal(signal.SIGINT)
        assert watch.wait(timeout=60) == 0
        assert "saved" in watch.stderr.read()
    again = offline(stack, folder, "watch", "--json", "--from", str(file))
    assert (again.returncode, again.stdout, again.stderr) == (0, told.read_text(), "")
    found = [json.loads(line) for line in again.stdout.splitlines()]
    assert all(start["complete"] for start in found)
    assert len({start["pod"] for start in found}) == 1
    assert len({start["uid"] for start in found}) == 2


def test_a_bundle_opens_in_a_jaeger_that_never_had_it(stack: Stack, folder: Path) -> None:
    """Its traces get other ids, as if they were another cluster's."""
    bundle = json.loads((folder / "start.json").read_text())
    ids = {
        span["traceId"]
        for resource in bundle["resourceSpans"]
        for scoped in resource["scopeSpans"]
        for span in scoped["spans"]
    }
    text = json.dumps(bundle)
    new = {trace_id: secrets.token_hex(9) + "f" * 14 for trace_id in ids}
    for trace_id, other in new.items():
        text = text.replace(trace_id, other)
    (folder / "other.json").write_text(text)
    sent: dict[str, Any] = document(stack, "open", "--from", str(folder / "other.json"))
    validate("open", sent)
    assert {trace["traceId"] for trace in sent["traces"]} == set(new.values())
    assert all(trace["sent"] and trace["url"] for trace in sent["traces"])
    again = document(stack, "open", "--from", str(folder / "other.json"))
    assert not any(trace["sent"] for trace in again["traces"])


def test_a_collector_takes_the_file_as_it_is(stack: Stack, folder: Path) -> None:
    text = (folder / "other.json").read_text()
    posted = httpx.post(
        f"{stack.outputs['otlpHttpEndpoint']}/v1/traces",
        content=text,
        headers={"Content-Type": "application/json"},
    )
    assert (posted.status_code, posted.json()) == (200, {"partialSuccess": {}})
