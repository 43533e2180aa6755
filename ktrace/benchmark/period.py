"""From when to when starts are compared, as a person writes it. Pure."""

from __future__ import annotations

from datetime import datetime, time

from ktrace.errors import UsageError
from runtime_observability.core.durations import milliseconds

Period = tuple[int, int]
"""Both in microseconds since the Unix epoch."""
_SECOND = 1_000_000


def read(text: str, now: datetime) -> Period:
    """FROM/TO, each a time ago (30m), a time of today (14:30), a moment (2026-11-27T14:30), or now.

    Times without an offset are those of ``now``. UsageError for anything else.
    """
    begin, slash, end = text.partition("/")
    if not slash:
        raise UsageError(f"window:{text} has no end: write window:30m/10m or window:14:00/14:30")
    found = _moment(begin, now), _moment(end, now)
    if found[0] >= found[1]:
        raise UsageError(f"window:{text} ends before it begins: write the earlier time first")
    return found


def _moment(text: str, now: datetime) -> int:
    if text == "now":
        return int(now.timestamp() * _SECOND)
    ago = milliseconds(text)
    if ago is not None:
        return max(0, int(now.timestamp() * _SECOND) - ago * 1_000)
    try:
        if "-" not in text:
            found = datetime.combine(now.date(), time.fromisoformat(text), now.tzinfo)
        else:
            found = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise UsageError(
            f"{text!r} is no time of a window: write 30m (ago), 14:30, 2026-11-27T14:30 or now"
        ) from None
    if found.tzinfo is None:
        found = found.replace(tzinfo=now.tzinfo)
    return int(found.timestamp() * _SECOND)
