"""From when to when starts are compared, as a person writes it. Pure."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, time, timedelta

from ktrace.errors import UsageError
from runtime_observability.core.durations import milliseconds

Period = tuple[int, int]
"""Both in microseconds since the Unix epoch."""
_SECOND = 1_000_000


def read(text: str, now: datetime, local: Callable[[datetime], datetime] | None = None) -> Period:
    """FROM/TO, each a time ago (30m), a time of day (14:30), a moment (2026-11-27T14:30), or now.

    ``local`` gives a time without an offset its own; without it that is the one of ``now``. A time
    of day is the last one, or today's where TO is still to come. UsageError for anything else.
    """

    def at(text: str, day: int = 0) -> int:
        return _moment(text, now, local or (lambda one: one.replace(tzinfo=now.tzinfo)), day)

    present = int(now.timestamp() * _SECOND)
    begin, slash, end = text.partition("/")
    if not slash:
        raise UsageError(f"window:{text} has no end: write window:30m/10m or window:14:00/14:30")
    found = at(begin), at(end)
    if found[0] > present:
        found = at(begin, -1), at(end, -1)
        if found[0] >= found[1]:
            found = found[0], at(end)
    if found[0] >= found[1]:
        raise UsageError(f"window:{text} ends before it begins: write the earlier time first")
    return found


def _moment(text: str, now: datetime, local: Callable[[datetime], datetime], day: int) -> int:
    """A time of day is that of today plus ``day``."""
    if text == "now":
        return int(now.timestamp() * _SECOND)
    ago = milliseconds(text)
    if ago is not None:
        return max(0, int(now.timestamp() * _SECOND) - ago * 1_000)
    try:
        if "-" not in text:
            of_day = time.fromisoformat(text)
            found = datetime.combine(now.date() + timedelta(days=day), of_day)
        else:
            found = datetime.fromisoformat(text)
        found = found if found.tzinfo else local(found)
        return int(found.timestamp() * _SECOND)
    except (ValueError, OverflowError, OSError):
        raise UsageError(
            f"{text!r} is no time of a window: write 30m (ago), 14:30, 2026-11-27T14:30 or now"
        ) from None
