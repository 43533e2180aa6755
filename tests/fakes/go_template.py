"""The part of Go's text/template that this project's templates use.

``{{ .A.B }}``, ``{{ $v.A }}``, ``{{ printf "%q" X }}``, ``if [not] X`` and ``range $k, $v := X``.
Anything else is an error. So is a field that the data does not have, as in Go.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

_ACTION = re.compile(r"\{\{ (.*?) \}\}", re.DOTALL)
_RANGE = re.compile(r"range (\$\w+), (\$\w+) := (\S+)\Z")
_PRINTF = re.compile(r'printf "%q" (\S+)\Z')
_VALUE = re.compile(r"(\$\w+)?((?:\.\w+)*)\Z")


def render(template: str, data: Mapping[str, Any]) -> str:
    """Renders ``template`` with ``data``: mappings for structs and maps, lists for slices."""
    text, rest = _block(_ACTION.split(template), {"": data})
    assert not rest, f"unexpected end before {rest}"
    return text


def _block(parts: list[str], scope: dict[str, Any]) -> tuple[str, list[str]]:
    """The rendered text of this block, and the parts after its end."""
    text = parts[0]
    parts = parts[1:]
    while parts:
        action, *parts = parts
        if action == "end":
            return text, parts
        if action.startswith(("if ", "range ")):
            bodies = _scopes(action, scope)
            # A body is skipped even if it is not rendered.
            after = _skip(parts)
            for body in bodies:
                text += _block(parts, scope | body)[0]
            parts = after
        else:
            text += _formatted(action, scope)
        text += parts[0]
        parts = parts[1:]
    return text, []


def _skip(parts: list[str]) -> list[str]:
    """The parts after the end of the block that ``parts`` begin with."""
    depth = 1
    for index in range(1, len(parts), 2):
        depth += parts[index].startswith(("if ", "range ")) - (parts[index] == "end")
        if depth == 0:
            return parts[index + 1 :]
    raise ValueError("missing end")


def _scopes(action: str, scope: dict[str, Any]) -> list[dict[str, Any]]:
    """The variables for each time that the body is rendered."""
    if match := _RANGE.match(action):
        key, value, source = match.groups()
        found = _value(source, scope)
        pairs = sorted(found.items()) if isinstance(found, Mapping) else enumerate(found)
        return [{key: index, value: item} for index, item in pairs]
    condition = action.removeprefix("if ")
    wanted = not condition.startswith("not ")
    return [{}] if bool(_value(condition.removeprefix("not "), scope)) is wanted else []


def _formatted(action: str, scope: dict[str, Any]) -> str:
    if match := _PRINTF.match(action):
        return json.dumps(_value(match[1], scope))
    value = _value(action, scope)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _value(expression: str, scope: dict[str, Any]) -> Any:
    match = _VALUE.match(expression)
    if not match:
        raise NotImplementedError(expression)
    value = scope[match[1] or ""]
    for field in match[2].split(".")[1:]:
        value = value[field]
    return value
