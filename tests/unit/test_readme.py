"""README.md tells of every key what Pulumi.yaml says of it."""

from __future__ import annotations

import json
from typing import Any

from tests.configuration import PROJECT, SCHEMA


def row(key: str, rule: dict[str, Any]) -> str:
    default = rule["default"]
    text = default if isinstance(default, str) else json.dumps(default)
    cell = f"`{text}`" if text else "(empty)"
    return f"| `{key}` | {rule['type']} | {cell} | {rule['description'].replace('|', '&#124;')} |"


def test_the_table_has_every_key_with_its_default() -> None:
    lines = (PROJECT / "README.md").read_text().splitlines()
    begin = lines.index("| key | type | default | meaning |") + 2
    wanted = [row(key, rule) for key, rule in SCHEMA.items()]
    assert lines[begin : begin + len(wanted) + 1] == [*wanted, ""]
