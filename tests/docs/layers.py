"""Places a graph in rows: what is waited for above what waits, and no way through a node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import mean

Place = tuple[str, int]
"""A node and a row: in a row below its own, the way from it to what waits further down."""
_WAY = 20.0
"""The width that a way past nodes has."""


@dataclass(frozen=True)
class Layers:
    """``row`` has each node's, from the top; ``center`` the horizontal position of each place."""

    row: Mapping[str, int]
    center: Mapping[Place, float]

    @property
    def rows(self) -> list[list[str]]:
        number = max(self.row.values()) + 1
        return [[name for name in self.row if self.row[name] == row] for row in range(number)]

    def passed(self, start: str, end: str) -> list[Place]:
        """The places on the way from one node to the other, which is in a row below."""
        return [(start, row) for row in range(self.row[start] + 1, self.row[end])]


def layers(waits: Mapping[str, set[str]], width: float, gap: float) -> Layers:
    """``waits`` has all nodes, and for each the nodes that it waits for.

    Nodes are ``width`` wide. They are as far down as what waits for them allows.
    """
    row = _rows(waits)
    center: dict[Place, float] = {}
    for number in range(max(row.values()) + 1):
        above = {
            (name, number): [(one, number - 1) for one in waits[name]]
            for name in waits
            if row[name] == number
        }
        for name in waits:
            below = [row[other] for other in waits if name in waits[other]]
            if row[name] < number < max(below, default=0):
                above[name, number] = [(name, number - 1)]
        wanted = {
            place: mean([center[one] for one in before]) if before else 0.0
            for place, before in above.items()
        }
        widths = {(name, at): width if row[name] == at else _WAY for name, at in wanted}
        center |= _beside_each_other(wanted, widths, gap)
    return Layers(row, center)


def _rows(waits: Mapping[str, set[str]]) -> dict[str, int]:
    def height(name: str) -> int:
        return 1 + max((height(other) for other in waits if name in waits[other]), default=-1)

    heights = {name: height(name) for name in waits}
    return {name: max(heights.values()) - heights[name] for name in waits}


def _beside_each_other(
    wanted: Mapping[Place, float], widths: Mapping[Place, float], gap: float
) -> dict[Place, float]:
    """In the order of the ``wanted`` centers and, all together, as near to these as they fit."""
    order: Sequence[Place] = sorted(wanted, key=lambda place: (wanted[place], place))
    center = {order[0]: wanted[order[0]]}
    for left, right in pairwise(order):
        nearest = center[left] + (widths[left] + widths[right]) / 2 + gap
        center[right] = max(wanted[right], nearest)
    shift = mean([center[place] - wanted[place] for place in order])
    return {place: float(round(center[place] - shift)) for place in order}
