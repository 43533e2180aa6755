"""Build steps: run once, kept under a key, repeatable after an interruption."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lab.build.steps import Step, Workbench, prepare
from lab.errors import LabError
from lab.paths import Cache


def writes(text: str, built: list[str]) -> Step:
    def build(bench: Workbench) -> None:
        built.append(text)
        (bench.out / "file").write_text(text)

    return Step("thing", (text,), build)


def test_a_step_is_built_once_for_the_same_inputs(cache: Cache) -> None:
    built: list[str] = []
    first = prepare(cache, [writes("one", built)])
    again = prepare(cache, [writes("one", built)])
    other = prepare(cache, [writes("two", built)])
    assert built == ["one", "two"]
    assert first == again
    assert (other["thing"] / "file").read_text() == "two"
    assert (first["thing"] / "file").read_text() == "one"


def test_of_a_steps_outputs_only_the_two_newest_are_kept(cache: Cache) -> None:
    base = Step("thing-base", (), lambda bench: None)
    prepare(cache, [base])
    steps = [writes(text, []) for text in ("one", "two", "three")]
    for age, step in zip((30, 20, 10), steps, strict=True):
        output = prepare(cache, [step])["thing"]
        os.utime(output, (1e9 - age, 1e9 - age))
    assert [step.output(cache).exists() for step in steps] == [False, True, True]
    assert base.output(cache).exists()


def test_a_step_depends_on_the_content_of_files_and_on_what_it_needs(tmp_path: Path) -> None:
    def keys() -> tuple[str, str]:
        need = Step("need", (tmp_path,), lambda bench: None)
        return need.key, Step("user", (), lambda bench: None, needs=(need,)).key

    (tmp_path / "a").write_text("1")
    before = keys()
    assert keys() == before
    (tmp_path / "a").rename(tmp_path / "b")
    renamed = keys()
    assert not set(renamed) & set(before)
    (tmp_path / "b").write_text("2")
    assert not set(keys()) & set(renamed)


def test_a_failed_step_leaves_no_output_and_names_its_log(cache: Cache) -> None:
    step = Step("bad", (), lambda bench: bench.run(["sh", "-c", "echo the reason; exit 3"]))
    with pytest.raises(LabError, match="the reason") as failure:
        prepare(cache, [step])
    assert str(cache.logs / "bad.log") in str(failure.value)
    assert not step.output(cache).exists()


def test_what_an_interrupted_run_left_is_cleared_and_built_anew(cache: Cache) -> None:
    def stop(bench: Workbench) -> None:
        (bench.out / "half").touch()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare(cache, [Step("thing", ("one",), stop)])
    step = writes("one", [])
    assert not step.output(cache).exists()
    prepare(cache, [step])
    assert [file.name for file in step.output(cache).iterdir()] == ["file"]
    assert not list(cache.steps.glob(f".{step.key}.*"))
