"""A problem as one line, and several as the text of an error."""

from __future__ import annotations

import pytest

from runtime_observability.core.problem import UNTOUCHED, Problem, ProblemsError


@pytest.mark.parametrize(
    ("problem", "line"),
    [
        (Problem("k3d", "4.4.8 is too old"), "k3d: 4.4.8 is too old"),
        (Problem("k3d", "too old", "the minimum is 5"), "k3d: too old: the minimum is 5"),
        (Problem("k3d", "not on PATH", cure="install k3d"), "k3d: not on PATH. Install k3d"),
        (Problem("a", "b", "c", "`make up` builds it"), "a: b: c. `make up` builds it"),
    ],
)
def test_a_problem_is_one_line(problem: Problem, line: str) -> None:
    assert str(problem) == line


def test_what_is_not_told_is_an_empty_text() -> None:
    assert (Problem("a", "b").why, Problem("a", "b").cure) == ("", "")


def test_an_error_has_a_line_for_each_problem() -> None:
    problems = [Problem("a", "b"), Problem("c", "d")]
    error = ProblemsError(UNTOUCHED, iter(problems))
    assert error.problems == tuple(problems)
    assert str(error) == f"{UNTOUCHED}:\n  - a: b\n  - c: d"
