"""The fork server on a project of two files, and what is printed."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.mutants import jobs, project
from tests.mutants.jobs import Task
from tests.mutants.mutation import Mutant, mutants
from tests.mutants.report import print_report, progress_line
from tests.mutants.survivors import Change

SOURCE = "def least(a, b):\n    if a < b:\n        return a\n    return b\n"
TEST = """\
from pathlib import Path
from ktrace.least import least

def test_least():
    assert least(1, 2) == 1

def test_never_chosen():
    raise AssertionError

def test_writes(tmp_path):
    (tmp_path / "x").write_text("x")
"""
CHOSEN = ["test_it.py::test_least", "test_it.py::test_writes"]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A folder with this tool, ``ktrace/least.py`` and its test."""
    folder = tmp_path / "copy"
    for file in project.files():
        if file.startswith("tests/mutants/") or file == "tests/__init__.py":
            target = folder / file
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text((project.PROJECT / file).read_text())
    (folder / "ktrace").mkdir()
    (folder / "ktrace/least.py").write_text(SOURCE)
    (folder / "test_it.py").write_text(TEST)
    (folder / "pyproject.toml").write_text("[tool.pytest.ini_options]\npythonpath = ['.']\n")
    return folder


def test_a_mutant_is_killed_survives_or_hangs_and_is_gone_afterwards(
    copy: Path, tmp_path: Path
) -> None:
    made = {mutant.after: mutant for mutant in mutants("ktrace/least.py", SOURCE)}
    endless = SOURCE.replace("return a", "while True: pass")
    hangs = Mutant("ktrace/least.py", "least", "", "", 0, 3, 3, endless)
    tasks = [
        Task(made["if a <= b:"], CHOSEN, 60),
        Task(made["if not (a < b):"], CHOSEN, 60),
        Task(hangs, CHOSEN, 3),
    ]
    (tmp_path / "scratch").mkdir()
    results = jobs.run(tasks, [copy], tmp_path / "scratch")
    found = {mutant.after: result for mutant, result in results}
    assert found == {"if a <= b:": "survived", "if not (a < b):": "killed", "": "timeout"}
    assert (copy / "ktrace/least.py").read_text() == SOURCE


def test_a_server_ends_that_a_signal_did_not_reach(
    copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python runs no handler for a signal that comes between its last look and a read."""
    monkeypatch.setattr(subprocess.Popen, "terminate", lambda _: None)
    (change, *_) = mutants("ktrace/least.py", SOURCE)
    (tmp_path / "scratch").mkdir()
    ended = list(jobs.run([Task(change, CHOSEN, 60)], [copy], tmp_path / "scratch"))
    assert [result for _, result in ended] == ["killed"]


def test_where_unchanged_code_fails_no_mutant_counts_as_killed(copy: Path, tmp_path: Path) -> None:
    (change, *_) = mutants("ktrace/least.py", SOURCE)
    (tmp_path / "scratch").mkdir()
    tasks = [Task(change, ["test_it.py::test_never_chosen"], 60)]
    with pytest.raises(RuntimeError, match=r"fail without any change \(killed\)"):
        list(jobs.run(tasks, [copy], tmp_path / "scratch"))


def test_results_hold_until_a_file_changes_other_than_the_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(project, "PROJECT", tmp_path)
    files = ["a.py", "tests/mutants/survivors.toml"]
    (tmp_path / "tests/mutants").mkdir(parents=True)
    for file in files:
        (tmp_path / file).write_text("before")
    before = project.digest(files)
    (tmp_path / files[1]).write_text("after")
    assert project.digest(files) == before
    (tmp_path / files[0]).write_text("after")
    assert project.digest(files) != before


def test_a_mutant_reaches_nothing_of_the_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULUMI_ACCESS_TOKEN", "secret")
    monkeypatch.setenv("DOCKER_HOST", "unix:///var/run/docker.sock")
    values = jobs.environment(tmp_path)
    assert "PULUMI_ACCESS_TOKEN" not in values
    assert values["HOME"] == str(tmp_path)
    assert values["DOCKER_HOST"] == f"unix://{tmp_path}/no-docker.sock"


def test_the_remaining_time_goes_by_the_pace_so_far() -> None:
    assert progress_line("mutants", 10, 100, 2, 20.0) == "mutants 10/100, 2 survived, 3:00 left"


def mutant(file: str) -> Mutant:
    return Mutant(file, "f", "a = 1", "a = 2", 0, 7, 7, "")


def test_the_score_of_each_package_is_printed_and_enough_killed_is_0(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    survivor = mutant("components/a.py")
    judged = [(mutant("ktrace/a.py"), False)] * 9 + [(survivor, True)]
    listed = {Change.of(survivor): "equivalent"}
    assert print_report(judged, listed, [], tmp_path / "unlisted.toml") == 0
    printed = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["ktrace", "9", "9", "100.0", "%"] in printed
    assert ["components", "1", "0", "0.0", "%"] in printed
    assert printed[-1] == ["all", "10", "9", "90.0", "%"]


def test_too_few_killed_is_1_although_all_are_listed(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    survivor = mutant("ktrace/a.py")
    judged = [(mutant("ktrace/b.py"), False)] * 84 + [(survivor, True)] * 16
    assert print_report(judged, {Change.of(survivor): "x"}, [], tmp_path / "unlisted") == 1
    assert "84.0 % are killed; the minimum is 85 %" in capsys.readouterr().out


def test_an_unlisted_survivor_is_1_and_shown_with_its_entry(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    judged = [(mutant("ktrace/b.py"), False)] * 99 + [(mutant("ktrace/a.py"), True)]
    assert print_report(judged, {}, [], tmp_path / "unlisted.toml") == 1
    printed = capsys.readouterr().out
    assert "survived, not listed: ktrace/a.py:7 f\n- a = 1\n+ a = 2\n" in printed
    assert "file = 'ktrace/a.py'" in (tmp_path / "unlisted.toml").read_text()


def test_a_stale_entry_is_1(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    gone = Change("ktrace/a.py", "f", "a = 1", "a = 2")
    judged = [(mutant("ktrace/b.py"), False)]
    assert print_report(judged, {gone: "x"}, [(gone, "is killed")], tmp_path / "u") == 1
    assert "listed, but is killed: ktrace/a.py f" in capsys.readouterr().out
