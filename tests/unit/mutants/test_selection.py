"""Which tests are run on a mutant."""

from __future__ import annotations

from tests.mutants.coverage_plugin import Recorded
from tests.mutants.mutation import Mutant, mutants
from tests.mutants.selection import Selection

SOURCE = "LIMIT = 1\n\n\ndef f():\n    return g(\n        2\n    )\n\n\ndef h():\n    return 3\n"
USER = "from package import a\n\n\ndef use():\n    return a.LIMIT\n"
MIRROR = "tests/unit/package/test_a.py::test_a"
SLOW = "tests/graph/test_graph.py::test_slow"
FAST = "tests/graph/test_graph.py::test_fast"
OTHER = "tests/unit/package/test_user.py::test_user"
PROCESS = "tests/unit/package/test_process.py::test_process"
RECORDED = Recorded(
    seconds={MIRROR: 9.0, SLOW: 5.0, FAST: 1.0, OTHER: 0.1, PROCESS: 0.2},
    lines={
        "package/a.py": {"": [1, 4, 10], MIRROR: [5, 6], SLOW: [5, 11], FAST: [5]},
        "package/user.py": {"": [1, 4], OTHER: [5]},
    },
)


def selection(test_sources: dict[str, str] | None = None) -> Selection:
    sources = {"package/a.py": SOURCE, "package/user.py": USER, "package/clean.sh": "true\n"}
    return Selection([RECORDED], sources, test_sources or {})


def mutant(after: str) -> Mutant:
    return next(made for made in mutants("package/a.py", SOURCE) if made.after == after)


def test_the_mirror_is_first_then_the_fastest_that_runs_the_statement() -> None:
    assert selection().tests(mutant("3")) == [MIRROR, FAST, SLOW]


def test_a_test_that_does_not_run_the_line_is_left_out() -> None:
    assert selection().tests(mutant("return 4")) == [SLOW]


def test_what_runs_at_import_concerns_the_files_tests_and_its_importers() -> None:
    assert selection().tests(mutant("LIMIT = 2")) == [MIRROR, OTHER, FAST, SLOW]


def test_a_test_that_starts_the_module_as_a_process_is_run_too() -> None:
    chosen = selection({"tests/unit/package/test_process.py": 'run("-m", "package.a")'})
    assert PROCESS in chosen.tests(mutant("return 4"))


def test_a_script_is_run_by_the_tests_that_name_it() -> None:
    (dropped,) = mutants("package/clean.sh", "true\n")
    chosen = selection({"tests/unit/package/test_process.py": 'run_script("clean.sh")'})
    assert chosen.tests(dropped) == [PROCESS]


def test_the_seconds_are_those_of_all_tests() -> None:
    assert selection().seconds([MIRROR, FAST]) == 10
