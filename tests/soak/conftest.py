"""The soak tier: long rows of cases on real stacks, without the trace probe.

`make test` runs a sample of each row, another one each day; `make soak` the whole of it
(``--whole``). The day's sample is drawn again with the ``--seed`` that the run prints.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TypeVar

import pytest

from tests.live.fixtures import environ

__all__ = ["environ"]

_Case = TypeVar("_Case")


def pytest_addoption(parser: pytest.Parser) -> None:
    today = datetime.now(UTC).date().isoformat()
    parser.addoption("--whole", action="store_true", help="all cases instead of a sample")
    parser.addoption("--seed", default=today, help="what samples are drawn by: the day (UTC)")


def pytest_report_header(config: pytest.Config) -> str:
    if config.getoption("whole"):
        return "soak: every case"
    seed = config.getoption("seed")
    return f"soak: a sample, which `pytest tests/soak --seed {seed}` draws again"


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
