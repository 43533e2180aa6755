"""Percentiles, and from how many values on they say something."""

from __future__ import annotations

from collections.abc import Sequence

LEAST_FOR_P90 = 10
LEAST_FOR_P99 = 100
"""With fewer values a percentile is the largest value under another name."""


def percentile(values: Sequence[float], part: float) -> float | None:
    """That of ``part``, between 0 and 1, by linear interpolation; None from too few values."""
    least = LEAST_FOR_P99 if part > 0.9 else LEAST_FOR_P90 if part > 0.5 else 1
    return _quantile(values, part) if len(values) >= least else None


def median(values: Sequence[float]) -> float:
    """That of one value or more."""
    return _quantile(values, 0.5)


def _quantile(values: Sequence[float], part: float) -> float:
    ordered = sorted(values)
    position = part * (len(ordered) - 1)
    below = int(position)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (position - below)
