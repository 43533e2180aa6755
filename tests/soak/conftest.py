"""The soak tier: long rows of cases on real stacks, without the trace probe.

`make test` runs a fixed sample of each row, `make soak` the whole of it (``--whole``).
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TypeVar

import pytest

from tests.live.fixtures import environ

__all__ = ["environ"]

_Case = TypeVar("_Case")
_SEED = 2026


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--whole", action="store_true", help="all cases instead of a sample")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Gives a test with the mark ``cases(name, all, number)`` its sample, or all of them."""
    for mark in metafunc.definition.iter_markers("cases"):
        name, cases, number = mark.args
        whole = metafunc.config.getoption("whole")
        metafunc.parametrize(name, cases if whole else sample(cases, number), ids=str)


def sample(cases: Sequence[_Case], number: int) -> list[_Case]:
    """``number`` of the cases in their order, the same in each run."""
    drawn = random.Random(_SEED).sample(range(len(cases)), min(number, len(cases)))  # noqa: S311
    return [cases[index] for index in sorted(drawn)]
