"""The properties of a resource type, and what a change of them means.

Pure: inputs are checked and states compared without Docker. The rules are those of
Terraform's plugin SDK v2 (helper/schema/schema.go: diffString, diffList, diffSet, finalizeDiff),
because the real docker plugin bridges a Terraform provider: an old *state* is compared with new
inputs; an omitted property that the daemon fills in (`computed`) is no change; an empty one counts
as omitted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any, Literal

from lab.providers.wire import UNKNOWN, Properties

Change = Literal["ADD", "DELETE", "UPDATE"]
Changes = dict[str, tuple[Change, bool]]
"""Path of a changed property → the change, and whether it forces a replacement."""


@dataclass(frozen=True)
class Field:
    """One property: its type, and what a change of it does."""

    kind: type
    """`set` is a list whose order does not count."""
    replaces: bool = True
    """ForceNew: a change replaces the resource; else it is an update."""
    computed: bool = False
    """The daemon chooses a value when it is omitted."""
    required: bool = False
    default: Any = None
    nested: Mapping[str, Field] = field(default_factory=dict)
    only: Any = None
    """The one value that the stand-in supports."""
    output: bool = False
    """Never an input."""
    pending: bool = False
    """A computed list whose absence is a change: a failed create has left it out of the state."""
    exact: bool = False
    """Empty differs from omitted, in this property and all that it holds."""


Schema = Mapping[str, Field]


def check(schema: Schema, inputs: Properties, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield (property, reason) for each input that the stand-in refuses."""
    known = {name: rule for name, rule in schema.items() if not rule.output}
    for name, value in inputs.items():
        path = _join(prefix, name)
        if name not in known:
            yield (
                path,
                f"the lab's stand-in plugin does not cover the property {path!r};"
                f" it covers {', '.join(sorted(known))}",
            )
        elif value is not UNKNOWN:
            yield from _check_value(known[name], value, path)
    for name, rule in known.items():
        if rule.required and name not in inputs:
            yield _join(prefix, name), f"the property {_join(prefix, name)!r} is required"


def _check_value(rule: Field, value: Any, path: str) -> Iterator[tuple[str, str]]:
    wanted: Any = list if rule.kind is set else rule.kind
    if not isinstance(value, wanted) or (isinstance(value, bool) and rule.kind is not bool):
        yield path, f"{path} must be a {wanted.__name__}, not {value!r}"
    elif rule.only is not None and value != rule.only:
        yield path, f"the lab's stand-in plugin covers {path} only as {rule.only!r}, not {value!r}"
    elif rule.nested and isinstance(value, dict):
        yield from check(rule.nested, value, path)
    elif rule.nested:
        for index, item in enumerate(value):
            if item is not UNKNOWN:
                yield from check(rule.nested, item, f"{path}[{index}]")


def with_defaults(schema: Schema, inputs: Properties) -> Properties:
    """Return the inputs with the defaults that the real plugin's Check fills in."""
    filled = {name: rule.default for name, rule in schema.items() if rule.default is not None}
    for name, value in inputs.items():
        nested = schema[name].nested
        filled[name] = value
        if isinstance(value, list) and nested:
            filled[name] = [
                item if item is UNKNOWN else with_defaults(nested, item) for item in value
            ]
    return filled


def planned(schema: Schema, inputs: Properties) -> Properties:
    """Return the state in a create's preview: what the daemon chooses is unknown."""
    return {name: UNKNOWN for name, rule in schema.items() if rule.computed} | inputs


def diff(schema: Schema, state: Properties, inputs: Properties) -> Changes:
    """Compare a resource's state with new inputs."""
    changes: Changes = {}
    for name, rule in schema.items():
        old, new = state.get(name), inputs.get(name)
        if rule.computed and (rule.output or _empty(new)):
            if rule.pending and name not in state:
                changes[name] = ("ADD", rule.replaces)
            continue
        for path, change in _compare(rule, old, new, name):
            changes[path] = (change, rule.replaces)
    return changes


def settled(schema: Schema, before: Properties, found: Properties) -> Properties:
    """Return the state after a read: found values, in the form of the state before if equal."""
    state = {**before, **found}
    for name, rule in schema.items():
        if (
            name in before
            and name in found
            and not any(_compare(rule, before[name], found[name], ""))
        ):
            state[name] = before[name]
    return state


def exact_diff(old: Properties, new: Properties) -> dict[str, Change]:
    """Compare properties as they are (`NewDetailedDiffFromObjectDiff`, used by infer)."""
    return dict(_compare(Field(dict, exact=True), old, new, ""))


def _compare(rule: Field, old: Any, new: Any, path: str) -> Iterator[tuple[str, Change]]:
    missing = _absent if rule.exact else _empty
    other = rule if rule.exact else _ANY
    if new is UNKNOWN:
        yield path, "ADD" if missing(old) else "UPDATE"
    elif missing(old) and missing(new):
        return
    elif isinstance(old, list) and isinstance(new, list):
        yield from _compare_lists(rule, old, new, path)
    elif isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            inner = rule.nested.get(key, other)
            if not (inner.computed and key not in new):
                yield from _compare(inner, old.get(key), new.get(key), _join(path, key))
    elif old != new:
        yield path, "ADD" if old is None else "DELETE" if new is None else "UPDATE"


def _compare_lists(
    rule: Field, old: list[Any], new: list[Any], path: str
) -> Iterator[tuple[str, Change]]:
    item = Field(dict, nested=rule.nested, exact=rule.exact)

    def same(a: Any, b: Any) -> bool:
        return not any(_compare(item, a, b, ""))

    positions = list(enumerate(new))
    if rule.kind is set:
        positions = [(at, b) for at, b in positions if not any(same(a, b) for a in old)]
        old = [a for a in old if not any(same(a, b) for b in new)]
    for row, (a, pair) in enumerate(zip_longest(old, positions)):
        at, b = pair or (row, None)
        yield from _compare(item, a, b, f"{path}[{at}]")


def _absent(value: Any) -> bool:
    return value is None


def _empty(value: Any) -> bool:
    return value is not UNKNOWN and not value


def _join(prefix: str, key: str) -> str:
    if re.fullmatch(r"[A-Za-z_$][\w$]*", key):
        return f"{prefix}.{key}" if prefix else key
    return f'{prefix}["{key}"]'


_ANY = Field(str)
