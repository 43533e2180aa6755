"""The time axis of a page: ticks with their labels, and the lines behind the bars. Pure."""

from __future__ import annotations

_TICKS = 5
_LAST = 0.86
"""The share of the axis behind which a tick's label has no room, on a window of 400 pixels."""
_SECOND, _MINUTE, _HOUR = 1_000, 60_000, 3_600_000
_UNITS = (
    *(nice * 10.0**power for power in range(-3, 4) for nice in (1, 2, 5)),
    *(_SECOND * number for number in (10, 20, 30)),
    *(_MINUTE * number for number in (1, 2, 5, 10, 20, 30)),
    *(_HOUR * nice * 10**power for power in range(4) for nice in (1, 2, 5)),
)
"""Between two ticks, in milliseconds."""


def grid(total_ms: float) -> str:
    """The property that the lines behind the bars have: the share of the axis between two ticks."""
    return f"--unit:{_unit(total_ms) / total_ms:.4%}" if total_ms > 0 else "--unit:100%"


def ticks(total_ms: float) -> str:
    """The labels above the bars."""
    unit = _unit(total_ms)
    number = int(total_ms * _LAST / unit) + 1 if total_ms > 0 else 0
    labels = "".join(_tick(at * unit / total_ms, _label(at * unit, unit)) for at in range(number))
    return f'<span class="ticks">{labels or "when"}</span>'


def _tick(share: float, label: str) -> str:
    """A ``label`` at its share of the axis, or before its end where that has no room for it."""
    return f'<span style="left:min({share:.2%},calc(100% - {len(label)}ch))">{label}</span>'


def _unit(total_ms: float) -> float:
    return next((unit for unit in _UNITS if unit * _TICKS >= total_ms), total_ms)


def _label(ms: float, unit: float) -> str:
    if not ms:
        return "0"
    if unit >= _HOUR:
        return f"{ms / _HOUR:g} h"
    if unit >= _MINUTE:
        return f"{ms / _MINUTE:g} min"
    return f"{ms / _SECOND:g} s" if ms >= _SECOND else f"{ms:g} ms"
