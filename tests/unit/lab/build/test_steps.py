"""Build steps: run once, kept under a key, repeatable after an interruption."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lab.build import steps
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
    made = [writes(text, []) for text in ("one", "two", "three")]
    for age, step in zip((30, 20, 10), made, strict=True):
        output = prepare(cache, [step])["thing"]
        os.utime(output, (1e9 - age, 1e9 - age))
    assert [step.output(cache).exists() for step in made] == [False, True, True]
    assert base.output(cache).exists()


def test_a_step_is_built_by_one_run_at_a_time(cache: Cache) -> None:
    def build(bench: Workbench) -> None:
        with (
            (cache.steps / ".thing.lock").open("a") as lock,
            pytest.raises(BlockingIOError),
        ):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)

    assert prepare(cache, [Step("thing", (), build)])["thing"].is_dir()


def test_what_another_run_has_built_meanwhile_is_not_built_again(
    cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[str] = []
    step = writes("one", built)

    @contextmanager
    def after_the_other(path: Path, what: str) -> Iterator[None]:
        step.output(cache).mkdir()
        yield

    monkeypatch.setattr(steps, "exclusive", after_the_other)
    prepare(cache, [step])
    assert built == []


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
