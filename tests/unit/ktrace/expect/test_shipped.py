"""The shipped expectations: found by name, and part of the package."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

import ktrace.expect
from ktrace.errors import UsageError
from ktrace.expect import BUILTIN, shipped
from ktrace.expect.schema import load
from tests.configuration import PROJECT


def test_every_one_has_a_name_and_can_be_read() -> None:
    assert shipped.names() == ["control-plane", "pod-start"]
    for name in shipped.names():
        assert load(shipped.find(name), {"POD": "default/web-0"}).expectations


def test_the_example_for_commands_can_be_read() -> None:
    example = PROJECT / "examples" / "expectations" / "operator.yaml"
    assert len(load(example, {}, of_command=True).expectations) == 4


def test_every_one_is_in_the_package() -> None:
    tools = tomllib.loads((PROJECT / "pyproject.toml").read_text())["tool"]["setuptools"]
    folder = Path(ktrace.expect.__path__[0])
    assert "ktrace.expect" in tools["packages"]
    packed = {
        file for pattern in tools["package-data"]["ktrace.expect"] for file in folder.glob(pattern)
    }
    assert packed == set(BUILTIN.iterdir())


@pytest.mark.usefixtures("elsewhere")
def test_a_file_of_the_name_wins_and_a_folder_does_not() -> None:
    Path("pod-start").mkdir()
    assert shipped.find("pod-start") == BUILTIN / "pod-start.yaml"
    Path("control-plane").write_text("")
    assert shipped.find("control-plane") == Path("control-plane")


@pytest.mark.usefixtures("elsewhere")
def test_an_unknown_name_lists_the_known_ones() -> None:
    known = "'pod-end' is neither a file nor the name .* are control-plane and pod-start$"
    with pytest.raises(UsageError, match=known):
        shipped.find("pod-end")


@pytest.mark.parametrize("path", ["./pod-start", "a/b.yaml", "/nowhere", "absent.yaml"])
def test_what_can_be_a_path_only_is_one(path: str) -> None:
    assert shipped.find(path) == Path(path)


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
