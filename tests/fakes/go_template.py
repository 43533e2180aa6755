"""Go's text/template, as far as a template of this project goes.

``{{ .A.B }}``, ``{{ $v.A }}``, ``{{ printf "%q" X }}``, ``if [not] X`` and ``range $k, $v := X``.
Anything else is an error, and so is a field that the data does not have: Go would stop there too.
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
    """``template`` with ``data`` in it: structs and maps as mappings, slices as lists."""
    text, rest = _block(_ACTION.split(template), {"": data})
    assert not rest, f"an end too many: {rest}"
    return text


def _block(parts: list[str], scope: dict[str, Any]) -> tuple[str, list[str]]:
    """The text up to this block's end, and the parts that follow it."""
    text = parts[0]
    parts = parts[1:]
    while parts:
        action, *parts = parts
        if action == "end":
            return text, parts
        if action.startswith(("if ", "range ")):
            bodies = _scopes(action, scope)
            # A body that is not there must still be read, to know where it ends.
            after = _skip(parts)
            for body in bodies:
                text += _block(parts, scope | body)[0]
            parts = after
        else:
            text += _shown(action, scope)
        text += parts[0]
        parts = parts[1:]
    return text, []


def _skip(parts: list[str]) -> list[str]:
    depth = 1
    for index in range(1, len(parts), 2):
        depth += parts[index].startswith(("if ", "range ")) - (parts[index] == "end")
        if depth == 0:
            return parts[index + 1 :]
    raise ValueError("an end is missing")


def _scopes(action: str, scope: dict[str, Any]) -> list[dict[str, Any]]:
    """The variables of each time that the body is written."""
    if match := _RANGE.match(action):
        key, value, source = match.groups()
        found = _value(source, scope)
        pairs = sorted(found.items()) if isinstance(found, Mapping) else enumerate(found)
        return [{key: one, value: other} for one, other in pairs]
    condition = action.removeprefix("if ")
    wanted = not condition.startswith("not ")
    return [{}] if bool(_value(condition.removeprefix("not "), scope)) is wanted else []


def _shown(action: str, scope: dict[str, Any]) -> str:
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
