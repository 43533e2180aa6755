"""``ktrace boot``: what it prints, and how it ends."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ktrace.boot import look as looking
from ktrace.boot.build import build
from ktrace.boot.model import DOCKER, LOG, OBJECT, READY, Mark, NodeStart
from ktrace.target import docker_daemon, target
from ktrace.target.target import Target
from runtime_observability.host import runner
from tests.fakes import broken_bundle
from tests.fakes.ktrace import Ktrace
from tests.schemas import validate

BEGIN = datetime(2026, 11, 27, 6, tzinfo=UTC)
NODE = "k3d-traced-dev-server-0"
MARKS = [
    Mark(BEGIN, "node created", DOCKER, NODE),
    Mark(BEGIN + timedelta(seconds=7.5), "API server serves", LOG, NODE),
    Mark(BEGIN + timedelta(seconds=9), READY, OBJECT, NODE),
]


@pytest.fixture(autouse=True)
def stack(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The outputs of the selected stack, whose boot is MARKS."""
    outputs: dict[str, Any] = {"clusterName": "traced-dev"}
    monkeypatch.setattr(
        target, "choose", lambda *_: Target("http://127.0.0.1:16686", None, outputs)
    )
    monkeypatch.setattr(docker_daemon, "use_that_of", lambda _: None)
    nodes = [NodeStart(NODE, BEGIN, BEGIN, again=False)]
    boot = build("traced-dev", nodes, MARKS, ready=True, missing=["spans of the boot: gone"])
    monkeypatch.setattr(looking, "look", lambda *_: boot)
    return outputs


def test_every_moment_is_a_line_with_its_source(ktrace: Ktrace) -> None:
    shown = ktrace("boot")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.lines[0] == "cluster traced-dev booted: 1 node Ready after 9 s"
    (serves,) = [line for line in shown.lines if "API server serves" in line and "log" in line]
    assert serves.split()[:4] == ["7.50", "s", "7.50", "s"]
    assert any(line.endswith("object, to the second") for line in shown.lines)
    assert "7.50 s from “node created” to “API server serves”" in shown.lines
    assert "not known: spans of the boot: gone" in shown.lines


def test_the_json_is_what_its_schema_promises(ktrace: Ktrace) -> None:
    shown = ktrace("boot", "--json")
    assert shown.returncode == 0
    validate("boot", shown.document)
    assert shown.document["durationMs"] == 9000
    assert [line["critical"] for line in shown.document["lines"]] == [False, True, True]


def test_a_node_that_is_not_ready_is_a_finding(
    ktrace: Ktrace, monkeypatch: pytest.MonkeyPatch
) -> None:
    boot = build("traced-dev", [], [], ready=None, missing=["no node runs"])
    monkeypatch.setattr(looking, "look", lambda *_: boot)
    shown = ktrace("boot")
    assert (shown.returncode, shown.lines) == (
        1,
        ["cluster traced-dev does not run", "not known: no node runs"],
    )


def test_a_stack_without_a_cluster_is_wrong_usage(ktrace: Ktrace, stack: dict[str, Any]) -> None:
    stack.clear()
    shown = ktrace("boot")
    assert (shown.returncode, shown.stdout) == (2, "")
    assert "clusterName" in shown.stderr


def test_without_docker_nothing_is_told(ktrace: Ktrace, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: Any) -> None:
        raise runner.CommandError("`docker ps` exited with 1: Cannot connect")

    monkeypatch.setattr(looking, "look", unreachable)
    shown = ktrace("boot")
    assert (shown.returncode, shown.stdout) == (3, "")
    assert shown.stderr == "ktrace: `docker ps` exited with 1: Cannot connect\n"


@pytest.mark.parametrize("ready", [True, False, None])
def test_a_bundle_answers_as_the_boot_did_when_it_was_saved(
    ktrace: Ktrace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, ready: bool | None
) -> None:
    nodes = [NodeStart(NODE, BEGIN, BEGIN + timedelta(microseconds=1), again=False)]
    marks = [*MARKS, Mark(BEGIN + timedelta(microseconds=1_050_049), "k3s is up", LOG, NODE)]
    boot = build("traced-dev", nodes, marks, ready=ready, missing=["a log"], notes=["a note"])
    monkeypatch.setattr(looking, "look", lambda *_: boot)
    file = tmp_path / "boot.json"
    live = ktrace("boot", "--save", str(file))
    assert live.returncode == (0 if ready else 1)
    in_json = ktrace("boot", "--json")
    monkeypatch.undo()
    again = ktrace("boot", "--from", str(file))
    assert (again.returncode, again.stdout) == (live.returncode, live.stdout)
    assert ktrace("boot", "--from", str(file), "--json").stdout == in_json.stdout
    bundle = json.loads(file.read_text())
    validate("bundle", bundle)
    assert bundle["answer"] == in_json.document
    assert bundle["exitCode"] == live.returncode


@pytest.mark.parametrize(
    ("key", "broken"),
    [("marks", [{"at": "today"}]), ("nodes", {}), ("ready", "yes"), ("cluster", None)],
)
def test_a_broken_bundle_is_one_line(
    ktrace: Ktrace, tmp_path: Path, key: str, broken: object
) -> None:
    file = tmp_path / "boot.json"
    ktrace("boot", "--save", str(file))
    broken_bundle.expect_one_line(ktrace, file, "boot", key, broken)


def test_a_bundle_of_a_boot_tells_nothing_else_and_no_other_one_tells_a_boot(
    ktrace: Ktrace, tmp_path: Path
) -> None:
    file = tmp_path / "boot.json"
    ktrace("boot", "--save", str(file))
    told = ktrace("run", "--from", str(file))
    assert told.returncode == 2
    assert "does not tell that: it has what `ktrace boot` read at" in told.stderr
    told = ktrace("diff", str(file), str(file))
    assert told.returncode == 2
    assert f"{file} has no whole start" in told.stderr
    bundle = json.loads(file.read_text())
    del bundle["boot"]  # as an earlier release wrote those of other commands
    file.write_text(json.dumps({**bundle, "asked": {**bundle["asked"], "command": "top"}}))
    told = ktrace("boot", "--from", str(file))
    assert told.returncode == 2
    assert "does not tell that" in told.stderr
