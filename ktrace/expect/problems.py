"""What is wrong with a file of expectations, in words: where, the value, the rule and the cure."""

from __future__ import annotations

import difflib
import reprlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

_SHORTENED = reprlib.Repr()
"""Shows a value of any size in about a line."""
_SHORTENED.maxstring = 60
_BRANCHES = ("number", "range")
"""Pydantic puts the name of a union's branch into the place of a problem."""
_NO_WHOLE_NUMBER = "{value} is not a whole number"
_NO_NUMBER = "{value} is not a number"
_NO_BOOLEAN = "{value} is neither true nor false"
_RULES = {
    "missing": "is missing: add it",
    "int_parsing": _NO_WHOLE_NUMBER,
    "int_type": _NO_WHOLE_NUMBER,
    "int_from_float": _NO_WHOLE_NUMBER,
    "int_parsing_size": "{value} is too large",
    "float_parsing": _NO_NUMBER,
    "float_type": _NO_NUMBER,
    "finite_number": "{value} is not finite",
    "bool_parsing": _NO_BOOLEAN,
    "bool_type": _NO_BOOLEAN,
    "greater_than": "{value} is not more than {gt:g}",
    "greater_than_equal": "{value} is less than {ge:g}",
    "string_type": "{value} is not text",
    "string_too_short": "is empty: write a text",
    "list_type": "{value} is not a list: begin each of its entries with a dash",
    "too_short": "is empty: add an expectation",
}
"""What is wrong, by the type of pydantic's error."""
_NO_MAP = ("model_type", "dict_type", "model_attributes_type")

Keys = Mapping[str, Sequence[str]]


def in_words(
    errors: ValidationError, document: Any, keys: Keys, line: Callable[[Sequence[int | str]], int]
) -> Iterator[str]:
    """``PLACE: PROBLEM`` for each error; ``keys`` has the known keys of each map.

    ``line`` returns the number of the line on which a place begins.
    """
    for error in errors.errors():
        place = f"line {line(_path(error))}, {_place(error, document)}" if document else ""
        yield f"{place or _place(error, document)}: {_problem(error, keys)}"


def _place(error: ErrorDetails, document: Any) -> str:
    """Such as ``expectation 2 'it is fast', expect.count.min``."""
    match _path(error):
        case []:
            return "the file"
        case ["expectations", int(number), *rest]:
            expectation = document["expectations"][number]
            name = expectation.get("name") if isinstance(expectation, dict) else None
            named = f" {name!r}" if isinstance(name, str) and name else ""
            return ", ".join(filter(None, (f"expectation {number + 1}{named}", _dotted(rest))))
        case path:
            return _dotted(path)


def _path(error: ErrorDetails) -> list[int | str]:
    path = list(error["loc"])
    if "count" in path:
        path = [part for part in path if part not in _BRANCHES]
    return path


def _dotted(path: Sequence[int | str]) -> str:
    return ".".join(map(str, path))


def _problem(error: ErrorDetails, keys: Keys) -> str:
    kind, value, context = error["type"], _SHORTENED.repr(error["input"]), error.get("ctx", {})
    path = [part for part in _path(error) if isinstance(part, str)]
    if kind == "extra_forbidden":
        return _unknown_key(path, keys)
    if error["input"] is None:
        return (
            'has no value: remove the key, or write "" for an empty text'
            if path
            else "is empty: it needs the key expectations, a list"
        )
    if kind in _NO_MAP:
        known = keys.get(path[-1] if path else "")
        return f"{value} is not a map" + (f" with the keys {', '.join(known)}" if known else "")
    if kind == "value_error":
        reason = str(context["error"])
        return reason if isinstance(error["input"], dict) else f"{value} {reason}"
    return _RULES[kind].format(value=value, **context) if kind in _RULES else error["msg"]


def _unknown_key(path: Sequence[str], keys: Keys) -> str:
    key, holder = path[-1], path[-2] if len(path) > 1 else ""
    known = keys.get(holder, ())
    likely = difflib.get_close_matches(key, known, 1)
    hint = f", perhaps {likely[0]}" if likely else ""
    return f"is not a known key{hint}: the keys here are {', '.join(known)}"
