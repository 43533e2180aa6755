"""Reads values of a bundle that have to be of a kind: TypeError for another one, which ``reading``
turns into what is told of a broken bundle."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from ktrace.errors import UsageError


@contextmanager
def reading(part: str) -> Iterator[None]:
    """UsageError in place of what reading a broken ``part`` of a bundle raises in the block."""
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise UsageError(
            f"the bundle is broken: {part} ({type(error).__name__}: {error}). Save it again"
        ) from None


def text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{_told(value)} is no text")
    return value


def flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{_told(value)} is neither true nor false")
    return value


def moment(value: Any) -> datetime:
    """ValueError for a text that is no time."""
    found = datetime.fromisoformat(text(value))
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def items(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError(f"{_told(value)} is no list")
    return value


def members(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise TypeError(f"{_told(value)} is no object")
    return value


def _told(value: Any) -> str:
    return repr(str(value)[:40])
