"""`make down`: which stack it destroys, and what it says of what is left."""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from lab.commands import down
from lab.errors import LabError
from lab.machine.machine import Machine
from lab.paths import Cache
from lab.stacks import pulumi
from runtime_observability.core.naming import Names


@dataclass
class Backend:
    """Pulumi's stacks, and its commands on them."""

    stacks: set[str] = field(default_factory=set)
    selected: str | None = None
    code: int = 0
    destroyed: list[str] = field(default_factory=list)

    def run(self, arguments: list[str], stack: str) -> int:
        assert arguments == ["destroy", "--yes", "--skip-preview"]
        self.destroyed.append(stack)
        return self.code


@pytest.fixture
def backend(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> Backend:
    """A machine whose default stack is dev; nothing is left of any stack."""
    stub = Backend()
    machine = Machine(cache, {}, "unix:///docker.sock", False, False, ())
    monkeypatch.setattr(down, "examine", lambda _: machine)
    monkeypatch.setattr(down, "make_ready", lambda _: {})
    monkeypatch.setattr(down, "_left_behind", lambda _: [])
    monkeypatch.setattr(down, "_cluster_stands", lambda _: False)
    monkeypatch.setattr(down, "_volumes", lambda _: [])
    monkeypatch.setattr(pulumi, "run", stub.run)
    monkeypatch.setattr(pulumi, "stack_names", lambda: stub.stacks)
    monkeypatch.setattr(pulumi, "selected_stack", lambda: stub.selected)
    return stub


@pytest.mark.parametrize(
    ("wanted", "stacks", "selected", "destroyed"),
    [
        ("mine", {"dev", "mine"}, "dev", ["mine"]),
        (None, {"dev", "mine"}, "mine", ["dev"]),
        (None, {"lab", "mine"}, "lab", ["lab"]),
        (None, {"mine"}, None, []),
        ("gone", {"dev"}, "dev", []),
        (None, set(), None, []),
    ],
)
def test_without_a_name_it_is_the_stack_that_up_brings_up(
    backend: Backend,
    cache: Cache,
    *,
    wanted: str | None,
    stacks: set[str],
    selected: str | None,
    destroyed: list[str],
) -> None:
    backend.stacks, backend.selected = stacks, selected
    assert down.run(cache, wanted) == 0
    assert backend.destroyed == destroyed


def test_a_failed_destroy_is_told_by_its_code(backend: Backend, cache: Cache) -> None:
    backend.stacks, backend.code = {"dev"}, 255
    assert down.run(cache, None) == 255


def test_what_is_left_is_named(
    backend: Backend, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend.stacks = {"dev"}
    monkeypatch.setattr(down, "_left_behind", lambda _: ["network traced-dev"])
    with pytest.raises(LabError, match="these are left: network traced-dev"):
        down.run(cache, None)


def test_a_cluster_that_is_left_goes_first(
    backend: Backend, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after `git clean -x` took Pulumi's state: `make up` refuses while it is there."""
    node = "k3d-traced-dev-server-0"
    monkeypatch.setattr(down, "_left_behind", lambda _: [node])
    for stands, cure in (
        (True, "run `k3d cluster delete traced-dev` and then `make up` and `make down` again"),
        (False, "run `make up` and `make down` again"),
    ):
        monkeypatch.setattr(down, "_cluster_stands", lambda _, stands=stands: stands)
        with pytest.raises(LabError, match=f"left: {node}.*, {cure}"):
            down.run(cache, None)


def test_traces_that_are_kept_are_told_and_are_no_fault(
    backend: Backend,
    cache: Cache,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    backend.stacks = {"dev"}
    monkeypatch.setattr(down, "_volumes", lambda _: ["traced-dev-traces"])
    assert down.run(cache, None) == 0
    told = capsys.readouterr().out
    assert "`docker volume rm traced-dev-traces` removes them" in told


def test_a_kubeconfig_that_is_kept_is_told_and_is_no_fault(
    backend: Backend, cache: Cache, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    backend.stacks = {"dev"}
    monkeypatch.setattr(down, "PROJECT", tmp_path)
    kept = Names("dev", tmp_path).kept_kubeconfig
    kept.parent.mkdir()
    kept.touch()
    with contextlib.redirect_stdout(io.StringIO()) as told:
        assert down.run(cache, None) == 0
    assert f"Nothing is left of stack dev but {kept}, what others have written into its" in (
        told.getvalue()
    )
