"""The soak tier: long rows of cases on real stacks, without the trace probe.

`make test` runs a sample of each row, always the same one: what lands must not depend on the day.
``--seed`` draws another one, and ``--whole`` (`make soak`) runs them all.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TypeVar

import pytest

from tests.live.fixtures import environ

__all__ = ["environ"]

_Case = TypeVar("_Case")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--whole", action="store_true", help="all cases instead of a sample")
    parser.addoption("--seed", default="2026", help="what the samples are drawn by")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Gives a test with the mark ``cases(name, all, number)`` its sample, or all of them."""
    for mark in metafunc.definition.iter_markers("cases"):
        name, cases, number = mark.args
        whole = metafunc.config.getoption("whole")
        seed = f"{metafunc.config.getoption('seed')} {metafunc.definition.name}"
        metafunc.parametrize(name, cases if whole else sample(cases, number, seed), ids=str)


def sample(cases: Sequence[_Case], number: int, seed: str) -> list[_Case]:
    """``number`` of the cases in their order, the same for the same ``seed``."""
    drawn = random.Random(seed).sample(range(len(cases)), min(number, len(cases)))  # noqa: S311
    return [cases[index] for index in sorted(drawn)]
