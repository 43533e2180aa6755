"""How two cluster specs differ, for a person."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

_LINE = 80
_LINES = 4 * _LINE
_BY_NAME_ALONE = frozenset({"registries"})
"""Keys whose values are never shown: they are whole documents, with what a company has inside."""


def changes(
    before: Mapping[str, Any], after: Mapping[str, Any], secret_keys: Collection[str] = ()
) -> list[str]:
    """How two specs' documents differ: ``agents: 0 → 1``, or the paths where no setting does.

    Of ``secret_keys`` only the names are told.
    """
    settings_before, settings_after = before.get("settings", {}), after["settings"]
    changed = [
        key for key, value in settings_after.items() if settings_before.get(key, value) != value
    ]
    if changed:
        by_name_alone = _BY_NAME_ALONE.union(secret_keys)
        return [
            key if key in by_name_alone else _change(key, settings_before[key], settings_after[key])
            for key in changed
        ]
    return differences({**before, "settings": settings_after}, after)


def _change(key: str, before: Any, after: Any) -> str:
    """With the values where they fit on a line, else with what a list lost and got if that does."""
    shown = f"{key}: {json.dumps(before)} → {json.dumps(after)}"
    if len(shown) < _LINE:
        return shown
    if isinstance(before, list) and isinstance(after, list):
        lost = [f"without {json.dumps(item)}" for item in before if item not in after]
        got = [f"with {json.dumps(item)}" for item in after if item not in before]
        shown = f"{key}: {', '.join([*lost, *got])}"
        if lost + got and len(shown) < _LINES:
            return shown
    return key


def differences(before: Any, after: Any, path: str = "") -> list[str]:
    """Paths at which two documents differ: ``k3d.agents``, ``files.…``."""
    if isinstance(before, dict) and isinstance(after, dict):
        keys = [*before, *(key for key in after if key not in before)]
        return [
            difference
            for key in keys
            for difference in differences(
                before.get(key), after.get(key), f"{path}.{key}" if path else key
            )
        ]
    return [] if before == after else [path]
