"""The map in CONTRIBUTING.md has every module of these folders, and names none that is gone."""

from __future__ import annotations

import re

import pytest

from tests.configuration import PROJECT

TEXT = (PROJECT / "CONTRIBUTING.md").read_text().partition("## Where things are")[2]
MAP = TEXT.partition("```\n")[2].partition("```")[0]
FOLDERS = ("components", "runtime_observability/core", "runtime_observability/host", "ktrace")
NAME = re.compile(r"\b\w+\.py\b")


def section(folder: str) -> str:
    """The lines of the map about ``folder``: its own, and those that are indented below it."""
    name = f"{folder.rpartition('/')[2]}/"
    lines = MAP.splitlines()
    begin = next(at for at, line in enumerate(lines) if line.lstrip().startswith(f"{name} "))
    indent = len(lines[begin]) - len(lines[begin].lstrip())
    below = (
        at
        for at, line in enumerate(lines[begin + 1 :], begin + 1)
        if len(line) - len(line.lstrip()) <= indent
    )
    return "\n".join(lines[begin : next(below, len(lines))])


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_module_is_on_the_map(folder: str) -> None:
    modules = {file.name for file in (PROJECT / folder).glob("*.py")} - {"__init__.py"}
    assert modules - set(NAME.findall(section(folder))) <= {"__main__.py"}


def test_every_module_on_the_map_is_there() -> None:
    folders = ("components", "runtime_observability", "ktrace", "tests", "provider")
    files = [file for folder in folders for file in (PROJECT / folder).rglob("*.py")]
    there = {file.name for file in (*files, *PROJECT.glob("*.py"))}
    assert set(NAME.findall(MAP)) - there == set()
