"""The project's .venv: whose it is, and what it is made with."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from lab.errors import LabError
from lab.machine import venv
from lab.paths import Cache

Commands = list[list[str]]


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Commands:
    """The commands that an installation would run, in a project without .venv."""
    folder = tmp_path / ".venv"
    for name, path in {
        "VENV": folder,
        "SCRIPTS": folder / "bin",
        "PYTHON": folder / "bin/python",
        "MADE_BY_LAB": folder / "made-by-lab",
    }.items():
        monkeypatch.setattr(venv, name, path)
    ran: Commands = []

    def run(_: object, command: Sequence[str | Path]) -> None:
        ran.append([str(word) for word in command])

    monkeypatch.setattr(venv._Installer, "_run", run)
    return ran


def make(tmp_path: Path) -> None:
    venv.make(Cache(tmp_path / "cache"), venv.PROGRAM)


def is_made(commands: Commands) -> bool:
    return commands[0][:3] == [sys.executable, "-m", "venv"]


def pip_of_debian(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    wheel = tmp_path / "wheels/pip-23.0.1-py3-none-any.whl"
    wheel.parent.mkdir()
    wheel.touch()
    monkeypatch.setattr(venv, "WHEELS", wheel.parent)
    return wheel


def test_a_folder_that_an_interruption_left_empty_is_filled(
    tmp_path: Path, commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    pip_of_debian(tmp_path, monkeypatch)
    venv.VENV.mkdir()
    make(tmp_path)
    assert is_made(commands)
    assert venv.MADE_BY_LAB.read_text(), "it is known to be the lab's"


def test_a_venv_of_the_user_without_python_is_refused_and_left(
    tmp_path: Path, commands: Commands
) -> None:
    venv.VENV.mkdir()
    (venv.VENV / "notes").touch()
    with pytest.raises(LabError, match=r"has no bin/python, and the lab did not make it; remove"):
        make(tmp_path)
    assert not commands
    assert (venv.VENV / "notes").exists()


def test_without_pip_in_the_venv_that_of_the_machines_debian_is_used(
    tmp_path: Path, commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = pip_of_debian(tmp_path, monkeypatch)
    make(tmp_path)
    assert commands[1][:3] == [str(venv.PYTHON), f"{wheel}/pip", "install"]


@pytest.mark.parametrize("user", ["the owner", "another"])
def test_files_of_a_run_with_sudo_are_told(
    tmp_path: Path, commands: Commands, monkeypatch: pytest.MonkeyPatch, user: str
) -> None:
    def fail(_: object, command: Sequence[str | Path]) -> None:
        venv.SCRIPTS.mkdir(parents=True, exist_ok=True)
        raise subprocess.CalledProcessError(2, [str(word) for word in command])

    monkeypatch.setattr(venv._Installer, "_run", fail)
    if user == "another":
        other = os.geteuid() + 1
        monkeypatch.setattr(os, "geteuid", lambda: other)
    with pytest.raises(LabError) as raised:
        make(tmp_path)
    cure = str(raised.value).splitlines()[-1]
    chown = f'Run `sudo chown -R "$USER" {venv.VENV}`, because files in it are another user\'s'
    assert cure.startswith(chown if user == "another" else "Packages come from the index")
    assert not commands


def test_all_modules_are_compiled_when_they_are_installed(
    tmp_path: Path, commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    pip_of_debian(tmp_path, monkeypatch)
    make(tmp_path)
    uv = [command for command in commands if command[0].endswith("/uv")]
    assert uv[0][-1] == str(venv.PROGRAM)
    assert "--compile-bytecode" in uv[0]
    folders = commands[-1][-len(venv.PACKAGES) :]
    assert commands[-1][1:3] == ["-m", "compileall"]
    assert all((Path(folder) / "__init__.py").is_file() for folder in folders)


def test_what_is_installed_comes_into_the_venv_whatever_the_users_pip_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The user's index, certificates and proxies count; `user = true` of a pip.conf does not."""
    for name in ("PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PIP_PYTHON", "UV_REQUIRE_HASHES"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("PIP_INDEX_URL", "https://index.example")
    monkeypatch.setattr(venv, "SCRIPTS", tmp_path)
    log = tmp_path / "log"
    with log.open("wb") as out:
        venv._Installer(Cache(tmp_path / "cache"), out)._run(["env"])
    seen = dict(line.split("=", 1) for line in log.read_text().splitlines() if "=" in line)
    assert seen["PIP_USER"] == "0"
    assert seen["PIP_INDEX_URL"] == "https://index.example"
    assert not {"PIP_TARGET", "PIP_PREFIX", "PIP_PYTHON", "UV_REQUIRE_HASHES"} & seen.keys()
