"""`make up`: the order of its commands, and the mirror that it writes down."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from lab.commands import up
from lab.machine.machine import REGISTRY
from lab.paths import Cache
from lab.stacks import pulumi, settings_file


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Pulumi's commands; the machine is ready and the stack's file names the mirror old.example."""
    ran: list[str] = []

    def run(arguments: list[str], stack: str) -> int:
        ran.append(" ".join(arguments))
        return 0

    machine = SimpleNamespace(reasons=(), default_stack="dev")
    needs = SimpleNamespace(machine=machine)
    monkeypatch.setattr(up, "needs_of", lambda _, wanted: (needs, wanted or "dev"))
    monkeypatch.setattr(up, "make_ready", lambda _: {})
    monkeypatch.setattr(settings_file, "ensure", lambda *_: None)
    monkeypatch.setattr(settings_file, "mirror", lambda _: "old.example")
    monkeypatch.setattr(pulumi, "run", run)
    monkeypatch.setattr(pulumi, "outputs", lambda _: {})
    monkeypatch.setattr(pulumi, "has_interrupted_creates", lambda _: False)
    monkeypatch.delenv(REGISTRY, raising=False)
    return ran


def test_a_stack_is_selected_and_brought_up(commands: list[str], cache: Cache) -> None:
    assert up.run(cache, "mine") == 0
    assert commands == [
        "stack select --create mine",
        "up --yes --skip-preview --suppress-outputs",
    ]


def test_creates_that_a_killed_run_began_are_cleared_first(
    commands: list[str], cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pulumi, "has_interrupted_creates", lambda stack: stack == "mine")
    assert up.run(cache, "mine") == 0
    assert commands == [
        "stack select --create mine",
        "refresh --clear-pending-creates --yes --skip-preview",
        "up --yes --skip-preview --suppress-outputs",
    ]


@pytest.mark.parametrize(("mirror", "written"), [("new.example", True), ("old.example", False)])
def test_a_mirror_is_written_to_the_stacks_file_once(
    commands: list[str],
    cache: Cache,
    monkeypatch: pytest.MonkeyPatch,
    mirror: str,
    written: bool,
) -> None:
    """In the program the variable would replace the cluster in a shell without it."""
    monkeypatch.setenv(REGISTRY, mirror)
    assert up.run(cache, None) == 0
    assert (f"config set registryMirror {mirror}" in commands) is written
