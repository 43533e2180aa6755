"""The list of the mutants that may survive, each with its reason, and what is wrong with it."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.mutants.mutation import Mutant

LIST = Path(__file__).with_name("survivors.toml")


class Change(NamedTuple):
    """What identifies a survivor: source text, since lines move."""

    file: str
    scope: str
    before: str
    after: str

    @classmethod
    def of(cls, mutant: Mutant) -> Change:
        return cls(mutant.file, mutant.scope, mutant.before, mutant.after)


def load(text: str) -> dict[Change, str]:
    """The reasons by change. ValueError for an entry without one, or a second one."""
    reasons: dict[Change, str] = {}
    for entry in tomllib.loads(text).get("survivor", []):
        change = Change(entry["file"], entry["scope"], entry["before"], entry["after"])
        if not entry["reason"].strip():
            raise ValueError(f"{LIST.name}: {entry['file']}: {change.before!r} has no reason")
        if change in reasons:
            raise ValueError(f"{LIST.name}: {entry['file']}: {change.before!r} is listed twice")
        reasons[change] = entry["reason"]
    return reasons


def unlisted(survived: Iterable[Mutant], listed: Mapping[Change, str]) -> list[Mutant]:
    return [mutant for mutant in survived if Change.of(mutant) not in listed]


def stale(
    listed: Mapping[Change, str],
    existing: Iterable[Mutant],
    tried: Sequence[tuple[Mutant, bool]],
) -> list[tuple[Change, str]]:
    """The entries that no longer hold, with the reason. ``tried``: mutants, and whether it lives.

    Only a run that tries a mutant can tell that it is killed.
    """
    known = {Change.of(mutant) for mutant in existing}
    alive = {Change.of(mutant) for mutant, survived in tried if survived}
    dead = {Change.of(mutant) for mutant, survived in tried if not survived} - alive
    return [
        (change, "is killed" if change in known else "does not exist")
        for change in listed
        if change not in known or change in dead
    ]


def entry(mutant: Mutant, reason: str = "") -> str:
    """The mutant as an entry of the list."""
    values = {
        "file": mutant.file,
        "scope": mutant.scope,
        "before": mutant.before,
        "after": mutant.after,
        "reason": reason,
    }
    return "[[survivor]]\n" + "".join(f"{key} = {_toml(text)}\n" for key, text in values.items())


def _toml(text: str) -> str:
    """A literal string where that is possible: it shows the source as it is."""
    if "\n" in text and "'''" not in text:
        return f"'''\n{text}'''"
    if "'" not in text and "\n" not in text:
        return f"'{text}'"
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
