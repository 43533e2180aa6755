"""Every JSON document has a version, and docs/schemas/ describes it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator, ValidationError

from ktrace import document
from tests import golden
from tests.configuration import PROJECT
from tests.schemas import FOLDER, keys_of, validate
from tests.unit.ktrace.test_cli import COMMANDS

KEYS = Path(__file__).with_name("published_keys.txt")
"""Of all schemas, one on each line: SCHEMA PATH."""


def test_the_version_comes_first() -> None:
    assert list(document.versioned({"ok": True})) == ["apiVersion", "ok"]


def test_an_error_is_a_document() -> None:
    failed = document.of_error("no cluster is known: give one", 2)
    assert failed["error"] == {"message": "no cluster is known: give one", "exitCode": 2}
    validate("error", failed)


def test_a_key_that_no_schema_names_is_noticed() -> None:
    failed = document.of_error("no", 2)
    failed["error"]["unknown"] = 1
    with pytest.raises(ValidationError, match="unknown"):
        validate("error", failed)


@pytest.mark.parametrize("file", sorted(FOLDER.glob("*.json")), ids=lambda file: file.stem)
def test_every_schema_is_one_and_demands_the_version(file: Path) -> None:
    schema = json.loads(file.read_text())
    Draft202012Validator.check_schema(schema)
    assert "apiVersion" in schema["required"]
    assert schema["properties"]["apiVersion"] == {"const": document.API_VERSION}


def test_keys_that_were_published_stay() -> None:
    """A key may come at any time, and with UPDATE_GOLDEN=1 it is kept; none may go."""
    published = set(KEYS.read_text().splitlines())
    found = {
        f"{file.stem} {key}"
        for file in FOLDER.glob("*.json")
        for key in keys_of(json.loads(file.read_text()))
    }
    assert published - found == set(), "scripts read these"
    golden.check(KEYS, "\n".join(sorted(published | found)) + "\n")


def test_every_command_has_one_schema_and_one_row_of_exit_codes() -> None:
    schemas = {file.stem for file in FOLDER.glob("*.json")}
    of_show = {"ending", "rollout"}
    assert schemas == {*COMMANDS, *of_show, "bundle", "error"}
    page = (PROJECT / "docs" / "commands.md").read_text()
    rows = re.findall(r"^\| `ktrace (\w+)", page, re.MULTILINE)
    assert sorted(rows) == sorted(COMMANDS)
