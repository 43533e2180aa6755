"""Chooses the mutants of a run: the same ones for the same number and seed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from itertools import islice

from tests.mutants.mutation import Mutant


def sample(by_file: Mapping[str, Sequence[Mutant]], number: int | None, seed: int) -> list[Mutant]:
    """About ``number`` mutants, from each file in proportion to what it has; None: all of them.

    A smaller sample is part of a larger one, and a change of one file hardly changes what is
    chosen from the others, so that the list of survivors stays valid.
    """
    total = sum(map(len, by_file.values()))
    if number is None or number >= total:
        return [mutant for found in by_file.values() for mutant in found if mutant.compiles]
    chosen: list[Mutant] = []
    for file, found in by_file.items():
        share = int(number * len(found) / total + _fraction(f"{seed} {file}"))
        ranked = sorted(found, key=lambda mutant: _fraction(f"{seed} {mutant.id}"))
        chosen += islice((mutant for mutant in ranked if mutant.compiles), share)
    return chosen


def _fraction(text: str) -> float:
    """A number from 0 up to 1 that ``text`` decides."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6]) / (1 << 48)
