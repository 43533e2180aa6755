"""Validates documents against docs/schemas/."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator

from tests.configuration import PROJECT

FOLDER = PROJECT / "docs/schemas"


def validate(name: str, document: Any) -> None:
    """Fails unless ``document`` is valid, and has no key that docs/schemas/NAME.json omits.

    The published schemas allow further keys, because later releases add some.
    """
    _validator(name).validate(document)


@cache
def _validator(name: str) -> Draft202012Validator:
    schema = json.loads((FOLDER / f"{name}.json").read_text())
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(_closed(schema))


def _closed(schema: Any) -> Any:
    """``schema`` without room for keys that it does not name."""
    if isinstance(schema, list):
        return [_closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: _closed(value) for key, value in schema.items()}
    if isinstance(schema.get("properties"), dict):
        closed = {"additionalProperties": False, **closed}
    return closed
