"""The workflows and the action, read."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import yaml

from tests.configuration import PROJECT

WORKFLOWS = sorted((PROJECT / ".github" / "workflows").glob("*.yml"))
ACTION = PROJECT / "action.yml"
SCRIPTS = PROJECT / ".github" / "scripts"


def read(file: Path) -> dict[str, Any]:
    """A workflow or action; its key ``on``, which is a boolean in YAML 1.1, as text."""
    document: dict[Any, Any] = yaml.safe_load(file.read_text())
    return {"on" if key is True else key: value for key, value in document.items()}


def jobs() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every job of every workflow, with a name for messages."""
    for file in WORKFLOWS:
        for name, job in read(file)["jobs"].items():
            yield f"{file.name}: {name}", job


def steps() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every step of every job and of the action, with a name for messages."""
    for name, job in jobs():
        yield from ((name, step) for step in job["steps"])
    yield from ((ACTION.name, step) for step in read(ACTION)["runs"]["steps"])


def script(name: str) -> ModuleType:
    """A Python script of .github/scripts as a module."""
    spec = importlib.util.spec_from_file_location(Path(name).stem, SCRIPTS / name)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
