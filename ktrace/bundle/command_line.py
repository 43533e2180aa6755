"""What was asked, in the words of a command line, without what may be a secret. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ktrace.addresses import without_login
from ktrace.bundle import session
from ktrace.text import clean

if TYPE_CHECKING:
    import typer

_LEFT_OUT = "…"
_COMMAND = "command"
"""The parameter that is a command line of its own."""
_HARMLESS = {
    *("-n", "--namespace", "-f", "--filename", "-l", "--selector", "-o", "--output", "-k"),
    *("--replicas", "--timeout", "--for", "--kustomize", "--image", "--context", "--dry-run"),
    *("--wait", "--cascade", "--grace-period", "--field-selector", "--port", "--restart", "--type"),
}
"""Options whose value is no secret."""
_OPTION = re.compile(r"--?[A-Za-z][\w-]*")


def words(context: typer.Context) -> list[str]:
    """Of the command and of what was given with it."""
    found = [str(context.command.name)]
    for parameter in sorted(context.command.params, key=lambda one: one.name == _COMMAND):
        name = str(parameter.name)
        source = context.get_parameter_source(name)
        value = context.params.get(name)
        if source and source.name == "DEFAULT":
            continue
        if name not in (*arguments(context), session.EXPECTED, session.VALUES):
            continue
        if name == session.VALUES:
            value = [f"{each.partition('=')[0]}={_LEFT_OUT}" for each in value or ()]
        if name == _COMMAND:
            found += ["--", *without_values(value or ())]
        elif parameter.param_type_name == "argument":
            found.append(str(value))
        elif isinstance(value, bool):
            found.append(parameter.opts[0])
        else:
            found += [
                word
                for each in (value if isinstance(value, list | tuple) else [value])
                for word in (parameter.opts[0], _written(each))
            ]
    return list(map(clean, found))


def _written(value: Any) -> str:
    """As a person writes it: 40 and not 40.0."""
    return f"{value:g}" if isinstance(value, float) else str(value)


def arguments(context: typer.Context) -> dict[str, Any]:
    """By their names in ktrace, as JSON has them."""
    found = {}
    for name, value in session.asked(context).items():
        told = without_values(value) if name == _COMMAND else value
        found[name] = str(told) if isinstance(told, Path) else told
    return found


def without_values(command: Sequence[str]) -> list[str]:
    """``command`` without the values of options, but for those that are known to be no secret, and
    without what another command behind -- is given.

    What follows the first = is a value too, as in PASSWORD=… and --from-literal=….
    """
    return list(_without_values(command))


def _without_values(command: Sequence[str]) -> Iterator[str]:
    option = ""
    for number, word in enumerate(command):
        if word == "--":
            yield from ("--", *([_LEFT_OUT] if command[number + 1 :] else []))
            return
        name, equals, value = word.partition("=")
        if option and not word.startswith("-"):
            yield word if option in _HARMLESS else _LEFT_OUT
            option = ""
            continue
        is_option = bool(_OPTION.fullmatch(name))
        option = word if is_option and not equals else ""
        if equals and value and name not in _HARMLESS:
            yield f"{name}={_LEFT_OUT}"
        elif word.startswith("-") and not is_option:
            yield _LEFT_OUT
        else:
            yield without_login(word, f"{_LEFT_OUT}@")
