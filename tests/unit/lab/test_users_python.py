"""The Makefile's targets under variables with which Python finds or keeps less of the lab."""

import os
import subprocess

import pytest

from lab.paths import PROJECT


@pytest.mark.parametrize("variable", [("PYTHONSAFEPATH", "1"), ("PYTHONOPTIMIZE", "2")])
def test_a_target_starts_under_a_users_variable_of_python(variable: tuple[str, str]) -> None:
    ran = subprocess.run(
        ["make", "-s", "env", "LAB=@exec $(PYTHON) -m lab --help #"],
        cwd=PROJECT,
        env={**os.environ, **dict([variable])},
        capture_output=True,
        text=True,
        check=False,
    )

    assert ran.returncode == 0, ran.stderr
