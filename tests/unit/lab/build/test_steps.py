"""Build steps: run once, kept under a key, repeatable after an interruption."""

from __future__ import annotations

import fcntl
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lab.build import steps
from lab.build.steps import Step, prepare
from lab.build.workbench import Workbench
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


def test_an_output_that_nobody_has_used_for_days_is_removed_when_another_is_built(
    cache: Cache,
) -> None:
    base = Step("thing-base", (), lambda bench: None)
    made = [writes(text, []) for text in ("old", "recent", "used-again")]
    for step in (base, *made):
        output = prepare(cache, [step])[step.name]
        days = 3 if step is made[1] else 8
        os.utime(output, (time.time() - days * 86400,) * 2)
    prepare(cache, [made[2]])
    prepare(cache, [writes("newest", [])])
    assert [step.output(cache).exists() for step in made] == [False, True, True]
    assert base.output(cache).exists()


def test_an_output_on_the_path_of_a_running_shell_is_kept(cache: Cache) -> None:
    used = writes("used", [])
    output = prepare(cache, [used])["thing"]
    path = {**os.environ, "PATH": f"{output}:/usr/bin:/bin"}
    with subprocess.Popen(["cat"], env=path, stdin=subprocess.PIPE) as shell:
        os.utime(output, (time.time() - 100 * 86400,) * 2)
        prepare(cache, [writes("newest", [])])
        assert output.exists()
        shell.kill()
    os.utime(output, (time.time() - 100 * 86400,) * 2)
    prepare(cache, [writes("newer still", [])])
    assert not output.exists()


def test_steps_that_do_not_need_each_other_are_built_side_by_side(cache: Cache) -> None:
    together = threading.Barrier(2, timeout=20)

    def meet(bench: Workbench) -> None:
        together.wait()

    steps = [Step(name, (), meet) for name in ("one", "two")]
    assert set(prepare(cache, steps)) == {"one", "two"}


def test_a_step_is_built_after_what_it_needs(cache: Cache) -> None:
    order: list[str] = []
    first = Step("first", (), lambda bench: order.append("first"))
    second = Step("second", (), lambda bench: order.append("second"), needs=(first,), minutes=9)
    prepare(cache, [second])
    assert order == ["first", "second"]


def test_when_one_step_fails_the_processes_of_the_other_end(cache: Cache) -> None:
    begun = threading.Event()

    def long(bench: Workbench) -> None:
        begun.set()
        bench.run(["sleep", "1000"])

    def fails(bench: Workbench) -> None:
        assert begun.wait(20)
        raise LabError("the reason")

    with pytest.raises(LabError, match="bad could not be made: the reason"):
        prepare(cache, [Step("long", (), long), Step("bad", (), fails)])
    assert not list(cache.steps.glob("long-*"))


def test_a_step_is_built_by_one_run_at_a_time(cache: Cache) -> None:
    def build(bench: Workbench) -> None:
        with (
            (cache.steps / f".{step.key}.lock").open("a") as lock,
            pytest.raises(BlockingIOError),
        ):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)

    step = Step("thing", (), build)
    assert prepare(cache, [step])["thing"].is_dir()


def test_what_another_run_has_built_meanwhile_is_not_built_again(
    cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[str] = []
    step = writes("one", built)

    @contextmanager
    def after_the_other(path: Path, what: str, given_up: object) -> Iterator[None]:
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
    assert str(cache.logs / f"{step.key}.log") in str(failure.value)
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
    assert not list(cache.steps.glob(f".{step.key}.[0-9]*"))


def test_temporary_files_of_a_build_are_in_the_cache(cache: Cache) -> None:
    step = Step("thing", (), lambda bench: bench.run(["sh", "-c", f'mktemp > "{bench.out}/name"']))
    name = (prepare(cache, [step])["thing"] / "name").read_text()
    assert name.startswith(f"{cache.root}/")
