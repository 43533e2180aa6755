"""What every JSON document of ktrace has: its version, and one shape for errors.

docs/schemas/ has a JSON Schema for each document.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

API_VERSION = "ktrace/v1"
"""Keys are only added to documents of this version; none is removed or changes its meaning."""


def versioned(content: Mapping[str, Any]) -> dict[str, Any]:
    """``content`` as a document: ``apiVersion`` comes first."""
    return {"apiVersion": API_VERSION, **content}


def of_error(message: str, code: int) -> dict[str, Any]:
    """What a command prints under --json instead of its answer when it ends with ``code``."""
    return versioned({"error": {"message": message, "exitCode": code}})


def moment(at: datetime) -> str:
    """``at`` in UTC, to the millisecond: 2026-11-27T06:00:00.000Z."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
