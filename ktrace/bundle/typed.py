"""Reads values of a bundle that have to be of a kind; each raises TypeError for another one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{_told(value)} is no text")
    return value


def flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{_told(value)} is neither true nor false")
    return value


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
