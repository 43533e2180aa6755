"""Which changes the mutation run makes to a source file, and which it leaves out."""

from __future__ import annotations

import pytest

from tests.mutants.mutation import Mutant, mutants, statements


def changes(source: str, file: str = "a.py") -> set[tuple[str, str]]:
    """The lines that each mutant changes, before and after."""
    return {(mutant.before, mutant.after) for mutant in mutants(file, source) if mutant.compiles}


@pytest.mark.parametrize(
    ("source", "after"),
    [
        ("HOST = '127.0.0.1'", "HOST = 'XX127.0.0.1XX'"),
        ("SECONDS = 60", "SECONDS = 61"),
        ("run(argv, check=True)", "run(argv, check=False)"),
        ("run(argv, check=True)", "run(argv, )"),
        ("a = b or c", "a = b and c"),
        ("a = b <= c", "a = b < c"),
        ("lock()", "pass"),
        ("with lock(): work()", "if True: work()"),
        ("if held: work()", "if not (held): work()"),
        ("x = [a for a in b if c]", "x = [a for a in b if not (c)]"),
    ],
)
def test_a_change_that_a_test_should_notice_is_made(source: str, after: str) -> None:
    assert (source, after) in changes(source)


def test_an_argument_of_a_call_on_several_lines_is_dropped() -> None:
    source = "def f():\n    run(\n        argv,\n        check=True,\n    )\n"
    dropped = "def f():\n    run(\n        argv,\n        )\n"
    assert dropped in {mutant.text for mutant in mutants("a.py", source)}


def test_an_expression_in_parentheses_keeps_them() -> None:
    assert ("a = (b + c) * 2", "a = (b - c) * 2") in changes("a = (b + c) * 2")


@pytest.mark.parametrize(
    "source",
    [
        "import a",
        "from a import b",
        "__all__ = ['a', 'b']",
        '"""A docstring."""',
        "def f(a: int | None) -> 'Literal[1]':\n    return a",
        "@dataclass(frozen=True)\nclass A:\n    pass",
    ],
)
def test_what_no_test_can_notice_is_left_alone(source: str) -> None:
    assert changes(source) == set()


def test_a_message_is_left_as_it_is_worded() -> None:
    assert changes("raise E('no such stack')") == {
        ("raise E('no such stack')", "raise E(None)"),
    }


def test_a_call_in_an_annotation_is_code() -> None:
    source = "class A:\n    a: Annotated[int, Field(ge=1)] = b"
    assert ("a: Annotated[int, Field(ge=1)] = b", "a: Annotated[int, Field(ge=2)] = b") in changes(
        source
    )


def test_a_mutant_is_the_whole_file_with_one_change() -> None:
    source = "def f():\n    a = 1\n    b = 2\n    return a + b\n"
    made = {mutant.after: mutant for mutant in mutants("a.py", source)}
    changed = made["b = 3"]
    assert changed.text == source.replace("2", "3")
    assert (changed.line, changed.last_line, changed.scope) == (3, 3, "f")


def test_a_mutant_keeps_its_id_when_the_file_moves_around_it() -> None:
    source = "class A:\n    def f(self):\n        return 1\n"

    def made(text: str) -> Mutant:
        return next(mutant for mutant in mutants("a.py", text) if mutant.after == "return 2")

    assert made(f"import x\n\n{source}").id == made(source).id
    assert made(source).scope == "A.f"
    assert made(source.replace("A", "B")).id != made(source).id


def test_equal_changes_in_one_place_are_told_apart() -> None:
    ids = [mutant.id for mutant in mutants("a.py", "f(1)\nf(1)\n") if mutant.after == "f(2)"]
    assert len(set(ids)) == len(ids) == 2


def test_of_a_script_each_line_is_dropped_that_can_be() -> None:
    source = "# what it does\nset -eu\nif a; then\n  b\n  c\nfi\n"
    assert changes(source, "a.sh") == {("set -eu", ""), ("b", ""), ("c", "")}


def test_a_statement_has_all_its_lines_and_not_its_body() -> None:
    found = statements("a = f(\n    1,\n)\nif (\n    a\n):\n    b = 2\n")
    assert [found[line] for line in (1, 2, 3)] == [(1, 3)] * 3
    assert [found[line] for line in (4, 5, 6)] == [(4, 6)] * 3
    assert found[7] == (7, 7)
