"""Validates documents against docs/schemas/."""

from __future__ import annotations

import json
from collections.abc import Iterator
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


def keys_of(schema: Any) -> set[str]:
    """The keys that documents of ``schema`` may have, such as ``ready.steps[].name``."""
    return set(_paths(schema, schema, "", ()))


def _paths(part: Any, schema: Any, at: str, within: tuple[str, ...]) -> Iterator[str]:
    """Those of ``part`` of ``schema``; a definition that is within itself is not followed again."""
    if reference := part.get("$ref"):
        if reference in within:
            return
        within = (*within, reference)
        part = schema["$defs"][reference.removeprefix("#/$defs/")]
    for name, of_key in part.get("properties", {}).items():
        path = f"{at}.{name}" if at else name
        yield path
        yield from _paths(of_key, schema, path, within)
    for word in ("items", "additionalProperties"):
        if isinstance(part.get(word), dict):
            yield from _paths(
                part[word], schema, f"{at}[]" if word == "items" else f"{at}.*", within
            )
    for word in ("anyOf", "oneOf", "allOf"):
        for choice in part.get(word, ()):
            yield from _paths(choice, schema, at, within)


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
