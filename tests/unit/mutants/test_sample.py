"""Which mutants a run tries."""

from __future__ import annotations

from tests.mutants.mutation import Mutant, mutants
from tests.mutants.sample import sample


def numbers(file: str, count: int) -> list[Mutant]:
    return mutants(file, "".join(f"{file[0]}{number} = {number}\n" for number in range(count)))


FILES = {"small.py": numbers("small.py", 20), "large.py": numbers("large.py", 200)}
TOTAL = sum(map(len, FILES.values()))


def ids(chosen: list[Mutant]) -> set[str]:
    return {mutant.id for mutant in chosen}


def test_all_are_all() -> None:
    assert ids(sample(FILES, None, 1)) == ids([*FILES["small.py"], *FILES["large.py"]])
    assert len(sample(FILES, TOTAL + 1, 1)) == TOTAL


def test_each_file_has_its_share() -> None:
    chosen = sample(FILES, 110, 1)
    assert abs(len(chosen) - 110) <= 2
    assert 9 <= sum(mutant.file == "small.py" for mutant in chosen) <= 11


def test_the_same_seed_chooses_the_same_and_another_seed_others() -> None:
    assert ids(sample(FILES, 50, 1)) == ids(sample(FILES, 50, 1))
    assert ids(sample(FILES, 50, 1)) != ids(sample(FILES, 50, 2))


def test_a_small_sample_is_part_of_a_large_one() -> None:
    for number in (1, 7, 30, 100):
        assert ids(sample(FILES, number, 1)) <= ids(sample(FILES, 2 * number, 1))


def test_a_mutant_that_does_not_compile_is_not_tried() -> None:
    broken = Mutant("a.py", "", "a", "b c", number=0, line=1, last_line=1, text="b c")
    assert sample({"a.py": [broken]}, None, 1) == []
    assert sample({"a.py": [broken], **FILES}, 100, 1) != []
    assert broken not in sample({"a.py": [broken], **FILES}, TOTAL, 1)
