"""Rollouts and endings are saved, and answered from the file."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.fakes import recorded_endings, rollouts, starts
from tests.fakes.http import FakeServer, write_kubeconfig
from tests.fakes.jaeger import served
from tests.fakes.ktrace import Ktrace
from tests.unit.ktrace.commands.test_show_rollout import three


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda _: None)


@pytest.mark.parametrize(
    "asked", [["deploy/web"], ["-l", "app=web"], ["pods", "-A"], ["deploy", "-A"]], ids=" ".join
)
def test_a_rollout(
    ktrace: Ktrace,
    server: FakeServer,
    api: FakeServer,
    tmp_path: Path,
    asked: list[str],
) -> None:
    cluster = three()
    server.answer = served(starts.handler(*cluster.traces(), rollouts.written()))
    api.answer = cluster.answer
    write_kubeconfig(tmp_path / "kubeconfig", api.url)
    options = ["-n", "shop", "--jaeger", server.url, "--kubeconfig", str(tmp_path / "kubeconfig")]
    file = str(tmp_path / "rollout.json")
    live = ktrace("show", *asked, *options, "--save", file, "--json", "--timeout", "1")
    assert "does not answer" not in live.stderr
    again = ktrace("show", "--from", file, "--json")
    assert (again.returncode, again.stdout, again.stderr) == (live.returncode, live.stdout, "")


@pytest.mark.parametrize("name", ["stubborn", "stubborn-running"])
def test_an_ending(ktrace: Ktrace, server: FakeServer, tmp_path: Path, name: str) -> None:
    recorded = recorded_endings.load(name)
    server.answer = served(starts.handler(*recorded.traces))
    file = str(tmp_path / "ending.json")
    asked = ("show", "stubborn", "--ending", "--timeout", "1")
    live = ktrace(*asked, "--jaeger", server.url, "--json", "--save", file)
    again = ktrace("show", "--from", file, "--json")
    assert (again.returncode, again.stdout, again.stderr) == (live.returncode, live.stdout, "")
