"""The folder of PATH with the lab's tools."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from lab.machine import shell, tools
from lab.machine.machine import path_without
from lab.machine.venv import SCRIPTS
from lab.paths import Cache
from lab.releases.table import TOOLS
from tests.unit.lab.machine.test_shell import machine


def links(cache: Cache, names: set[str]) -> dict[str, Path]:
    return {link.name: link.readlink() for link in tools.folder(cache, names).iterdir()}


def test_the_tools_on_path_are_exactly_those_chosen(cache: Cache, tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    tools.link(cache, [old / "pulumi", old / "k3d"])
    tools.link(cache, [new / "k3d", new / "pulumi"])
    chosen = {name: new / name for name in ("k3d", "pulumi")}
    assert links(cache, {"k3d", "pulumi"}) == chosen


def test_a_shell_keeps_its_tools_when_another_checkout_chooses_others(
    cache: Cache, tmp_path: Path
) -> None:
    tools.link(cache, [tmp_path / "pulumi", tmp_path / "k3d"])
    tools.link(cache, [tmp_path / "k3d"])
    tools.link(cache, [])
    assert links(cache, {"k3d", "pulumi"}) == {n: tmp_path / n for n in ("k3d", "pulumi")}
    assert links(cache, {"k3d"}) == {"k3d": tmp_path / "k3d"}


@pytest.mark.parametrize(
    "names",
    [{"pulumi", "k3d", "kubectl"}, {"pulumi", "k3d"}, {"k3d"}, set()],
)
def test_a_shell_has_the_labs_tools_first_and_only_those_that_the_machine_lacks(
    names: set[str],
    cache: Cache,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    earlier = tools.folder(cache, {"kubectl"})
    monkeypatch.setenv("PATH", os.pathsep.join([str(earlier), "/usr/bin"]))
    assert path_without(cache) == "/usr/bin"
    lacking = {tool.name: tool.built for tool in TOOLS if tool.name in names}
    chosen = replace(machine(cache, lab=False), tools=lacking)
    path = shell.variables(chosen, "unix:///docker.sock")["PATH"].split(os.pathsep)
    wanted = [str(tools.folder(cache, names))] if names else []
    assert path == [*wanted, "/usr/bin", str(SCRIPTS)]
