"""Each dependency has a pin for this project, and a range for programs that install the wheel."""

from __future__ import annotations

import re
import tomllib

import pytest
from packaging.requirements import Requirement

from tests.configuration import PROJECT

_LINES = (PROJECT / "requirements.in").read_text().splitlines()
PINS = dict(re.findall(r"^([\w-]+)(?:\[\w+\])?==(\S+)", "\n".join(_LINES), re.MULTILINE))
PROJECT_TABLE = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
RANGES = {
    requirement.name: requirement.specifier
    for requirement in map(Requirement, PROJECT_TABLE["dependencies"])
}


def test_pins_and_ranges_are_of_the_same_packages() -> None:
    assert set(PINS) == set(RANGES)


@pytest.mark.parametrize("package", sorted(PINS))
def test_the_pin_is_in_the_range(package: str) -> None:
    assert RANGES[package].contains(PINS[package])


@pytest.mark.parametrize("package", sorted(RANGES))
def test_a_range_leaves_a_choice(package: str) -> None:
    operators = {specifier.operator for specifier in RANGES[package]}
    assert operators <= {">=", "<"}
    assert ">=" in operators
