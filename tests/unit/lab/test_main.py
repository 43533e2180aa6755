"""Where a command of the lab runs, and how it ends when the machine refuses a file."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

import pytest

from lab.__main__ import WITHOUT_VENV, main
from lab.commands import up
from lab.errors import LabError
from lab.machine import venv
from lab.paths import PROJECT, Cache

ROOT = "/home/user/.cache/runtime-observability"


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (
            PermissionError(errno.EACCES, "Permission denied", "/home/user/.cache"),
            "/home/user/.cache: Permission denied. Make it writable for this user, or set "
            "RUNTIME_OBSERVABILITY_CACHE to a folder that is",
        ),
        (
            OSError(errno.EROFS, "Read-only file system", f"{ROOT}/steps"),
            f"{ROOT}/steps: Read-only file system. Make it writable for this user, or set "
            "RUNTIME_OBSERVABILITY_CACHE to a folder that is",
        ),
        (
            PermissionError(errno.EACCES, "Permission denied", f"{PROJECT}/.venv"),
            f"{PROJECT}/.venv: Permission denied. Make it writable for this user",
        ),
        (
            OSError(errno.ENOSPC, "No space left on device", f"{ROOT}/steps/x"),
            f"{ROOT}/steps/x: No space left on device. Free some: `make clean` removes everything "
            "that the lab has made; or set RUNTIME_OBSERVABILITY_CACHE to a folder on another disk",
        ),
        (
            OSError(errno.ENOSPC, "No space left on device"),
            f"{ROOT} or {PROJECT}: No space left on device. Free some: `make clean` removes "
            "everything that the lab has made; or set RUNTIME_OBSERVABILITY_CACHE to a folder on "
            "another disk",
        ),
        (
            FileNotFoundError(errno.ENOENT, "No such file or directory", "docker"),
            "docker: No such file or directory",
        ),
        (OSError("unexplained"), "unexplained"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_line_with_its_path_the_reason_and_the_cure(
    error: OSError, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(cache: Cache) -> int:
        assert cache.root == Path(ROOT)
        raise error

    monkeypatch.setenv("RUNTIME_OBSERVABILITY_CACHE", ROOT)
    monkeypatch.setitem(WITHOUT_VENV, "stop", run)
    with pytest.raises(LabError) as refused:
        main(["stop"])
    assert str(refused.value) == text


PYTHON = venv.PYTHON


@pytest.fixture
def entered(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The programs that this process would become."""
    programs: list[list[str]] = []

    def execv(program: Path, arguments: list[str]) -> NoReturn:
        programs.append(arguments)
        raise SystemExit(0)

    monkeypatch.setattr(os, "execv", execv)
    monkeypatch.setattr(sys, "prefix", "/usr")
    return programs


@pytest.mark.parametrize(
    ("command", "needed"),
    [("up", venv.PROGRAM), ("setup", venv.PROGRAM), ("lab", venv.PROGRAM), ("test", venv.TESTS)],
)
def test_a_command_makes_the_venv_and_runs_in_it(
    command: str, needed: Path, entered: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Path] = []
    monkeypatch.setattr(venv, "make", lambda _, *files: made.extend(files))
    with pytest.raises(SystemExit):
        main([command, "--stack", "mine"])
    assert made == [needed]
    assert entered == [[str(PYTHON), "-m", "lab", command, "--stack", "mine"]]


def test_a_stack_is_named_by_make_through_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    named: list[str | None] = []
    monkeypatch.setattr(sys, "prefix", str(venv.VENV))
    monkeypatch.setattr(venv, "make", lambda *_: None)

    def run(_: Cache, stack: str | None) -> int:
        named.append(stack)
        return 0

    monkeypatch.setattr(up, "run", run)
    for variable, arguments in (("a'b", []), ("other", ["--stack", "mine"]), ("", [])):
        monkeypatch.setenv("STACK", variable)
        main(["up", *arguments])
    assert named == ["a'b", "mine", None]


def test_env_makes_nothing(entered: list[list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(venv, "make", lambda *_: pytest.fail("env made .venv"))
    monkeypatch.setattr(venv, "is_current", lambda *_: False)
    with pytest.raises(LabError, match=r"not ready yet: .*`make setup`"):
        main(["env"])
    assert entered == []


def test_on_the_systems_python_only_the_standard_library_is_needed() -> None:
    """-I -S: no packages, as on a machine that has just cloned the project."""
    loads = f"import sys; sys.path.insert(0, {str(PROJECT)!r}); import lab.__main__"
    command = [sys.executable, "-I", "-S", "-c", loads]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
