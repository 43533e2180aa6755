"""Whether two measurements differ. Pure: the same values give the same answer."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from ktrace.benchmark.samples import READY, WHOLE, in_order
from ktrace.percentiles import median

_DOUBT = 0.01
"""That of all intervals of a comparison together (Bonferroni)."""
RELEVANT = 0.05
"""A shift of less than this part of the whole start is not told: two runs on one machine differ by
as much, because what else the machine does differs."""
_NEVER = 1e-9
"""A median so improbable has no part in an interval."""


@dataclass(frozen=True)
class Shift:
    """How the median of one row differs; milliseconds, positive if the second takes longer."""

    before: float
    after: float
    low: float
    high: float
    """The interval that holds the true shift, but for ``_DOUBT``."""
    relevant: float
    """What a shift must be at least to be told."""

    @property
    def shown(self) -> bool:
        """Whether there is a difference."""
        away_from_zero = self.low > 0 or self.high < 0
        return away_from_zero and abs(self.after - self.before) >= self.relevant

    @property
    def slower(self) -> bool:
        """Whether the second is shown to take longer."""
        return self.shown and self.after > self.before


def compare(
    before: Mapping[str, Sequence[float]], after: Mapping[str, Sequence[float]]
) -> dict[str, Shift]:
    """The shift of each row's median, by the row's name; a step that one lacks took no time there.

    Ready is compared where both know it.

    The interval is a percentile bootstrap of the difference of the medians, over both. It is not
    drawn at random: which value is the median of a resample has a distribution that is known.
    """
    names = in_order([*before, *after])
    if not (READY in before and READY in after):
        names = [name for name in names if name != READY]
    relevant = RELEVANT * median(before[WHOLE])
    tail = _DOUBT / len(names) / 2
    found = {}
    for name in names:
        one, other = (side.get(name) or [0.0] for side in (before, after))
        low, high = _interval(_resampled(one), _resampled(other), tail)
        found[name] = Shift(median(one), median(other), low, high, relevant)
    return found


def _resampled(values: Sequence[float]) -> list[tuple[float, float]]:
    """Each value that the median of a resample may have, and how probable it is."""
    pairs = zip(sorted(values), _probabilities(len(values)), strict=True)
    return [(value, weight) for value, weight in pairs if weight > _NEVER]


@functools.cache
def _probabilities(size: int) -> Sequence[float]:
    """How probable each of ``size`` ordered values is as the median of a resample.

    That it is among the j smallest means that at least half of the draws were (Efron, The
    Jackknife, the Bootstrap and Other Resampling Plans, 1982, section 10.3).
    """
    half = (size + 1) // 2
    ways = [math.comb(size, hits) for hits in range(half, size + 1)]

    def among(smallest: int) -> float:
        chance = smallest / size
        return sum(
            number * chance**hits * (1 - chance) ** (size - hits)
            for hits, number in enumerate(ways, half)
        )

    return [later - earlier for earlier, later in pairwise(map(among, range(size + 1)))]


def _interval(
    before: Sequence[tuple[float, float]], after: Sequence[tuple[float, float]], tail: float
) -> tuple[float, float]:
    """Between which differences all lie but ``tail`` on each side."""
    shifts = sorted(
        (later - earlier, weight * other) for earlier, weight in before for later, other in after
    )
    return _end(shifts, tail), _end(shifts[::-1], tail)


def _end(shifts: Sequence[tuple[float, float]], tail: float) -> float:
    passed = 0.0
    for shift, weight in shifts:
        passed += weight
        if passed > tail:
            return shift
    return shifts[-1][0]
