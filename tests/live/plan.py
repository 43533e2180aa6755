"""The plan that a preview prints."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

_NO_CHANGE = {"same", "read", "refresh"}
ENVIRONMENT = "traced"
"""The environment's name in __main__. Names below leave out this prefix."""


def short_name(urn: str) -> str:
    """``collector-container`` for the environment's ``traced-collector-container``."""
    return urn.rpartition("::")[2].removeprefix(f"{ENVIRONMENT}-")


@dataclass(frozen=True)
class Plan:
    """``changes``: the planned operations, by the name of each resource that would change."""

    changes: dict[str, set[str]]
    diagnostics: str
    """Every message of the program, as one text."""

    @classmethod
    def read(cls, text: str) -> Plan:
        """From the output of ``pulumi preview --json``."""
        document: dict[str, Any] = json.loads(text)
        changes: defaultdict[str, set[str]] = defaultdict(set)
        for step in document.get("steps") or []:
            if step["op"] not in _NO_CHANGE:
                changes[short_name(step["urn"])].add(step["op"])
        said = [entry["message"] for entry in document.get("diagnostics") or []]
        return cls(dict(changes), "\n".join(said))

    @property
    def replaced(self) -> set[str]:
        """Names of the resources that would be replaced."""
        return {name for name, ops in self.changes.items() if any("replace" in op for op in ops)}
