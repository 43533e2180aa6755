"""The list of survivors: what is accepted, and when an entry no longer holds."""

from __future__ import annotations

import pytest

from tests.mutants import survivors
from tests.mutants.mutation import mutants
from tests.mutants.survivors import Change, entry, load, stale, unlisted

ONE, TWO = (
    mutant
    for mutant in mutants("a.py", 'a = 1\nb = "x"\n')
    if mutant.after in ("a = 2", 'b = "XXxXX"')
)
LISTED = {Change.of(ONE): "it is equivalent"}


def test_the_shipped_list_can_be_read() -> None:
    assert all(reason for reason in load(survivors.LIST.read_text()).values())


@pytest.mark.parametrize("text", ['a\n"b"', "it's", "'''\n\\", "plain", ""])
def test_an_entry_is_read_as_it_was_written(text: str) -> None:
    made = mutants("a.py", "a = 1\n")[0]
    made = type(made)(made.file, made.scope, text, f"{text}!", 0, 1, 1, "")
    assert load(entry(made, "because")) == {Change.of(made): "because"}


def test_an_entry_without_a_reason_or_a_second_one_is_refused() -> None:
    with pytest.raises(ValueError, match="has no reason"):
        load(entry(ONE))
    with pytest.raises(ValueError, match="is listed twice"):
        load(entry(ONE, "a") + entry(ONE, "b"))


def test_a_survivor_must_be_listed() -> None:
    assert unlisted([ONE, TWO], LISTED) == [TWO]


def test_an_entry_holds_while_its_mutant_survives_or_is_not_tried() -> None:
    assert stale(LISTED, [ONE, TWO], [(ONE, True)]) == []
    assert stale(LISTED, [ONE, TWO], [(TWO, False)]) == []


def test_an_entry_is_stale_once_its_mutant_is_killed_or_gone() -> None:
    assert stale(LISTED, [ONE, TWO], [(ONE, False)]) == [(Change.of(ONE), "is killed")]
    assert stale(LISTED, [TWO], []) == [(Change.of(ONE), "does not exist")]
