"""From raw values to settings, or to every problem with them at once."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Collection, Mapping, Sequence, Set
from typing import Any

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from runtime_observability.core.problem import Problem, ProblemsError
from runtime_observability.core.settings import rules, secret_texts, store_rules
from runtime_observability.core.settings.exporter import Exporter, Tls
from runtime_observability.core.settings.model import PORT_DEFAULTS, Registries, Settings
from runtime_observability.core.settings.values import whole_number

_WITHOUT_REPETITION = frozenset({"exporters", store_rules.CREDENTIAL})
"""Keys whose rules repeat no part of a value."""
_NOT_OF_TYPE = {
    **dict.fromkeys(("bool_type", "bool_parsing"), "it is neither true nor false"),
    **dict.fromkeys(
        ("int_type", "int_parsing", "int_from_float", "finite_number"),
        "it is not a whole number",
    ),
    "int_parsing_size": "it has too many digits",
}
"""By Pydantic's type of an error, whose own text is about its input."""


class SettingsError(ProblemsError):
    """The configuration cannot be used."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("the stack's configuration cannot be used", problems)


def parse(raw: Mapping[str, Any], secret_keys: Collection[str] = ()) -> Settings:
    """The settings in ``raw``, keyed as in Pulumi.yaml; portOffset moves every port at its default.

    No message repeats a value of ``secret_keys``. Raises SettingsError with every problem.
    """
    moved = _move_default_ports(raw)
    clashes = rules.refuse_clashes(moved)
    clashes += store_rules.refuse_a_plain_password(raw, secret_keys)
    try:
        settings = Settings.model_validate(moved).keeping_secret(secret_keys)
    except ValidationError as errors:
        problems = [_problem(error, moved, frozenset(secret_keys)) for error in errors.errors()]
        raise SettingsError(problems + clashes) from None
    if problems := clashes + rules.refuse_broken_rules(settings):
        raise SettingsError(problems)
    return settings


def _move_default_ports(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Pulumi passes on a default and the same value set by hand alike, so both are moved."""
    moved = {**PORT_DEFAULTS, **raw}
    offset = whole_number(raw.get("portOffset", 0))
    if offset is None:
        return moved
    for key, default in PORT_DEFAULTS.items():
        if str(moved[key]) == str(default):
            moved[key] = default + offset
    return moved


def _problem(error: Any, raw: Mapping[str, Any], secret_keys: Set[str]) -> Problem:
    """The problem behind one of Pydantic's errors: the key, the value, the rule, the cure."""
    location = [str(part) for part in error["loc"]]
    key = ".".join(location)
    context = error.get("ctx", {})
    value = _shown(error["input"], key, is_secret=location[0] in secret_keys)
    match error["type"]:
        case "extra_forbidden":
            fields = _fields(location)
            known = [field.alias or name for name, field in fields.items()]
            near = difflib.get_close_matches(location[-1], known, n=1, cutoff=0.5)
            cure = f"did you mean {near[0]}?" if near else "Pulumi.yaml lists every key"
            return Problem(key, "unknown key", cure=cure)
        case "greater_than_equal":
            why = "; ports below it are reserved for root" if key in PORT_DEFAULTS else ""
            return Problem(key, f"{value} is too small", f"the minimum is {context['ge']}{why}")
        case "less_than_equal":
            return Problem(
                key,
                f"{value}{_moved_by(key, raw)} is too large",
                f"the maximum is {context['le']}",
            )
        case "literal_error":
            near = difflib.get_close_matches(str(error["input"]), _quoted(context["expected"]), n=1)
            cure = f"did you mean {near[0]}?" if near else ""
            return Problem(key, f"{value} is not one of {context['expected']}", cure=cure)
        case "model_type" if location[0] == "exporters" and len(location) == 2:
            cure = "for instance {endpoint: collector.example:4317}"
            return Problem(key, f"{value} cannot be used", "an exporter is a mapping", cure)
        case "model_type" | "dict_type":
            return Problem(key, f"{value} is not a mapping")
        case "missing":
            return Problem(key, "is not set", f"{'.'.join(location[:-1])} needs it")
        case "tuple_type":
            path = re.sub(r"\.(\d+)\b", r"[\1]", key)
            cure = f"use `pulumi config set --path '{path}[0]' VALUE`"
            return Problem(key, f"{value} is not a list", cure=cure)
        case "string_type" | "dataclass_type":  # a release is a dataclass, written as text
            cure = "write it in quotes, or use `pulumi config set --path --type string`"
            plain = isinstance(error["input"], int | float)
            return Problem(key, f"{value} cannot be used", "it is not text", cure if plain else "")
        case "value_error" if location[0] in secret_keys - _WITHOUT_REPETITION:
            why = "the reason may repeat it and is not shown"
            cure = "docs/configuration.md has the rules of each key"
            return Problem(key, f"{value} cannot be used", why, cure)
        case "value_error":
            broken = context["error"]
            cure = getattr(broken, "cure", "")
            return Problem(key, f"{value} cannot be used", str(broken), cure)
        case _:
            return Problem(
                key, f"{value} cannot be used", _NOT_OF_TYPE.get(error["type"], error["msg"])
            )


def _fields(location: Sequence[str]) -> Mapping[str, FieldInfo]:
    """The fields of what has the last key of ``location``."""
    match location:
        case [_]:
            return Settings.model_fields
        case ["exporters", *_, "tls", _]:
            return Tls.model_fields
        case ["exporters", *_]:
            return Exporter.model_fields
        case _:
            return Registries.model_fields


def _quoted(text: str) -> list[str]:
    """The values that a message lists: ``'on' or 'off'``."""
    return re.findall(r"'([^']*)'", text)


def _shown(value: object, key: str, *, is_secret: bool) -> str:
    """The value in a message; what is secret, or may have a login or a token, is not repeated."""
    if is_secret or key == store_rules.CREDENTIAL:
        return "its secret value"
    if key in ("registries.config", "traceStoreCaFile"):
        return "its text"
    if key == "traceStoreUser":  # a password may have been written behind it
        return "its value"
    if key.startswith("exporters") and (
        not isinstance(value, str | int | float | None) or {"headers", "tls"} & set(key.split("."))
    ):
        return "its value"
    text = json.dumps(value, default=str, ensure_ascii=False)
    hidden = key == "registries" or (key == "nodeEnvironment" and "@" in text)
    return "its value" if hidden or secret_texts.may_hold_a_secret(text) else text


def _moved_by(key: str, raw: Mapping[str, Any]) -> str:
    """Names the offset where it moved the port, as the user wrote another number."""
    offset = whole_number(raw.get("portOffset", 0))
    if key not in PORT_DEFAULTS or offset is None:
        return ""
    by_offset = str(raw[key]) == str(PORT_DEFAULTS[key] + offset)
    return f" (with portOffset {offset})" if by_offset else ""
