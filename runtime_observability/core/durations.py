"""Durations as a person writes them."""

from __future__ import annotations

import re

_DURATION = re.compile(r"([0-9]{1,6})(ms|s|m|h|d)", re.ASCII)
_MILLISECONDS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


def milliseconds(text: str) -> int | None:
    """Of 500ms, 2s, 1m, 2h or 1d; None for any other text."""
    match = _DURATION.fullmatch(text)
    return int(match[1]) * _MILLISECONDS[match[2]] if match else None
