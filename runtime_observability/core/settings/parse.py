"""From raw values to settings, or to every problem with them at once."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from typing import Any, get_args

from pydantic import ValidationError

from runtime_observability.core.compatibility import ContainerdTracing
from runtime_observability.core.problem import Problem, ProblemsError
from runtime_observability.core.settings import rules
from runtime_observability.core.settings.model import PORT_DEFAULTS, Registries, Settings


class SettingsError(ProblemsError):
    """The configuration cannot be used."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("the stack's configuration cannot be used", problems)


def parse(raw: Mapping[str, Any]) -> Settings:
    """The settings in ``raw``, keyed as in Pulumi.yaml; portOffset moves every port at its default.

    Raises SettingsError with every problem.
    """
    moved = _move_default_ports(raw)
    clashes = rules.refuse_clashes(moved)
    try:
        settings = Settings.model_validate(moved)
    except ValidationError as errors:
        problems = [_problem(error, moved) for error in errors.errors()]
        raise SettingsError(problems + clashes) from None
    if problems := clashes + rules.refuse_broken_rules(settings):
        raise SettingsError(problems)
    return settings


def _move_default_ports(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Pulumi passes on a default and the same value set by hand alike, so both are moved."""
    moved = {**PORT_DEFAULTS, **raw}
    offset = str(raw.get("portOffset", 0))
    if not offset.isdecimal():
        return moved
    for key, default in PORT_DEFAULTS.items():
        if str(moved[key]) == str(default):
            moved[key] = default + int(offset)
    return moved


def _problem(error: Any, raw: Mapping[str, Any]) -> Problem:
    """The problem behind one of Pydantic's errors: the key, the value, the rule, the cure."""
    location = [str(part) for part in error["loc"]]
    key = ".".join(location)
    context = error.get("ctx", {})
    # What may hold a password is not repeated.
    value = "its text" if key == "registries.config" else json.dumps(error["input"], default=str)
    match error["type"]:
        case "extra_forbidden":
            fields = (Settings if len(location) == 1 else Registries).model_fields
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
            near = difflib.get_close_matches(str(error["input"]), get_args(ContainerdTracing), n=1)
            cure = f"did you mean {near[0]}?" if near else ""
            return Problem(key, f"{value} is not one of {context['expected']}", cure=cure)
        case "tuple_type":
            cure = f"use `pulumi config set --path '{key}[0]' VALUE`"
            return Problem(key, f"{value} is not a list", cure=cure)
        case "value_error":
            broken = context["error"]
            cure = getattr(broken, "cure", "")
            return Problem(key, f"{value} cannot be used", str(broken), cure)
        case _:
            return Problem(key, f"{value} cannot be used", error["msg"])


def _moved_by(key: str, raw: Mapping[str, Any]) -> str:
    """Names the offset where it moved the port, as the user wrote another number."""
    offset = str(raw.get("portOffset", 0))
    if key not in PORT_DEFAULTS or not offset.isdecimal():
        return ""
    by_offset = str(raw[key]) == str(PORT_DEFAULTS[key] + int(offset))
    return f" (with portOffset {offset})" if by_offset else ""
