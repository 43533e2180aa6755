"""The virtual environment: made once, of locked packages, and never another clone's."""

from __future__ import annotations

import contextlib
import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lab.errors import LabError
from lab.machine import apt, venv
from lab.paths import PROJECT, Cache

Commands = list[list[str]]


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return use(tmp_path / "clone of mine", monkeypatch)


def use(clone: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make `clone` the project of this process."""
    scripts = clone / ".venv" / "bin"
    names = {
        "PROJECT": clone,
        "LAB": clone / "lab",
        "VENV": clone / ".venv",
        "SCRIPTS": scripts,
        "PYTHON": scripts / "python",
        "MADE_BY_LAB": clone / ".venv" / "made-by-lab",
        "BOOTSTRAP": clone / "lab" / "bootstrap.txt",
        "PROGRAM": clone / "requirements.txt",
        "STAND_INS": clone / "lab" / "requirements.txt",
    }
    for name, value in names.items():
        monkeypatch.setattr(venv, name, value)
    (clone / "lab").mkdir(parents=True, exist_ok=True)
    for file in ("requirements.txt", "pyproject.toml", "lab/bootstrap.txt", "lab/requirements.txt"):
        (clone / file).write_text(file)
    return clone


@pytest.fixture
def ran(clone: Path, monkeypatch: pytest.MonkeyPatch) -> Commands:
    """The commands that are run, with the program's name alone; `venv` makes its files."""
    commands: Commands = []

    def run(command: list[Any], **_: object) -> subprocess.CompletedProcess[str]:
        words = [Path(command[0]).name, *map(str, command[1:])]
        commands.append(words)
        if "venv" in words:
            venv.SCRIPTS.mkdir(parents=True, exist_ok=True)
            for program in ("python", *(() if "--without-pip" in words else ("pip",))):
                (venv.SCRIPTS / program).touch()
        return subprocess.CompletedProcess(command, 0, stdout="")

    monkeypatch.setattr(subprocess, "run", run)
    return commands


def installs(commands: Commands) -> list[str]:
    return [" ".join(words[1:]) for words in commands if "install" in words]


def test_every_package_comes_from_a_lock_and_the_project_by_reference(
    ran: Commands, clone: Path, cache: Cache
) -> None:
    python = clone / ".venv/bin/python"
    assert venv.make(cache, venv.PROGRAM, venv.STAND_INS) == python
    assert ran[0] == [
        Path(sys.executable).name, "-m", "venv", str(clone / ".venv")
    ]  # fmt: skip
    uv = f"pip install --python {python}"
    assert installs(ran) == [
        f"-m pip install --require-hashes --requirement {clone}/lab/bootstrap.txt",
        f"{uv} --require-hashes --requirement {clone}/requirements.txt",
        f"{uv} --no-deps --no-build-isolation --editable {clone}",
        f"{uv} --require-hashes --requirement {clone}/lab/requirements.txt",
    ]


def test_what_is_installed_is_installed_once(ran: Commands, clone: Path, cache: Cache) -> None:
    venv.make(cache, venv.PROGRAM)
    assert venv.is_current(venv.PROGRAM)
    assert not venv.is_current(venv.PROGRAM, venv.STAND_INS)
    ran.clear()
    venv.make(cache, venv.PROGRAM)
    assert ran == []
    venv.make(cache, venv.PROGRAM, venv.STAND_INS)
    assert "venv" not in [word for words in ran for word in words]
    for changed in ("requirements.txt", "pyproject.toml"):
        (clone / changed).write_text("another")
        assert not venv.is_current(venv.PROGRAM)
        venv.make(cache, venv.PROGRAM)


def test_a_virtual_environment_of_the_users_own_is_kept(
    ran: Commands, clone: Path, cache: Cache
) -> None:
    venv.SCRIPTS.mkdir(parents=True)
    for program in ("python", "pip"):
        (venv.SCRIPTS / program).touch()
    venv.make(cache, venv.PROGRAM)
    assert "venv" not in [word for words in ran for word in words]
    assert not venv.MADE_BY_LAB.exists(), "`make clean` would remove it"


@pytest.mark.parametrize("left", [[], ["python"]])
def test_one_that_an_interrupted_run_left_is_still_the_labs_and_is_made_anew(
    ran: Commands, clone: Path, cache: Cache, monkeypatch: pytest.MonkeyPatch, left: list[str]
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        for program in left:
            venv.SCRIPTS.mkdir(parents=True, exist_ok=True)
            (venv.SCRIPTS / program).touch()
        raise KeyboardInterrupt

    with monkeypatch.context() as first:
        first.setattr(subprocess, "run", interrupted)
        with pytest.raises(KeyboardInterrupt):
            venv.make(cache, venv.PROGRAM)
    venv.make(cache, venv.PROGRAM)
    assert ran[0][1:3] == ["-m", "venv"]
    assert venv.MADE_BY_LAB.read_text()


def test_a_raised_uv_leaves_what_another_command_is_using(
    ran: Commands, clone: Path, cache: Cache
) -> None:
    venv.make(cache, venv.PROGRAM)
    ran.clear()
    venv.BOOTSTRAP.write_text("another")
    venv.STAND_INS.write_text("another")
    venv.make(cache, venv.STAND_INS)
    assert "venv" not in [word for words in ran for word in words]
    assert str(venv.BOOTSTRAP) in installs(ran)[0]


def test_a_debian_without_ensurepip_uses_the_pip_of_an_unpacked_package(
    ran: Commands, clone: Path, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted: list[list[str]] = []

    def fetch(_: object, packages: list[str], folder: Path) -> list[Path]:
        wanted.append(packages)
        return [folder / "package.deb"]

    def unpack(packages: list[Path], tree: Path) -> None:
        wheels = tree / "usr/share/python-wheels"
        wheels.mkdir(parents=True)
        (wheels / "pip-23.0.1-py3-none-any.whl").touch()

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(apt, "fetch", fetch, raising=False)
    monkeypatch.setattr(apt, "unpack", unpack, raising=False)
    venv.make(cache, venv.PROGRAM)
    assert "--without-pip" in ran[0]
    assert wanted == [["python3-pip-whl"]]
    assert "/pip-23.0.1-py3-none-any.whl/pip install --require-hashes" in installs(ran)[0]


def test_uv_uses_the_index_and_the_certificates_of_pip(
    clone: Path, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    seen: list[dict[str, str]] = []
    config = "global.index-url='https://mirror.example/simple'\n:env:.cert='/etc/ca.pem'\n"

    def run(command: list[Any], **options: Any) -> subprocess.CompletedProcess[str]:
        if "config" in command:
            return subprocess.CompletedProcess(command, 0, stdout=config)
        seen.append(options["env"])
        venv.SCRIPTS.mkdir(parents=True, exist_ok=True)
        (venv.SCRIPTS / "pip").touch()
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(subprocess, "run", run)
    venv.make(cache, venv.PROGRAM)
    assert seen[-1]["UV_DEFAULT_INDEX"] == "https://mirror.example/simple"
    assert seen[-1]["SSL_CERT_FILE"] == "/etc/ca.pem"
    assert seen[-1]["UV_CACHE_DIR"].startswith(f"{cache.root}/")
    assert seen[-1]["PIP_CACHE_DIR"].startswith(f"{cache.root}/")


def test_a_failure_names_the_log_and_where_packages_come_from(
    clone: Path, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(command: list[Any], **options: Any) -> subprocess.CompletedProcess[str]:
        options["stdout"].write(b"no such host: packages.example\n")
        options["stdout"].flush()
        raise subprocess.CalledProcessError(1, command)

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(LabError, match="no such host") as failure:
        venv.make(cache, venv.PROGRAM)
    assert "venv.log" in str(failure.value)
    assert "PIP_INDEX_URL" in str(failure.value)
    assert not venv.is_current(venv.PROGRAM)


def test_on_a_full_disk_a_failure_is_that_of_the_disk(
    clone: Path, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(command: list[Any], **_: object) -> subprocess.CompletedProcess[str]:
        raise subprocess.CalledProcessError(120, command)

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=4096))
    with pytest.raises(OSError, match="No space left on device"):
        venv.make(cache, venv.PROGRAM)


def test_a_clone_waits_for_no_other_clone_and_overwrites_no_log_of_it(
    ran: Commands, cache: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[Path] = []

    @contextlib.contextmanager
    def exclusive(path: Path, what: str) -> Iterator[None]:
        taken.append(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        yield

    monkeypatch.setattr(venv, "exclusive", exclusive)
    for name in ("one", "two", "one"):
        use(tmp_path / name, monkeypatch)
        venv.make(cache, venv.PROGRAM)
    one, two, again = taken
    assert one == again != two
    assert len(list(cache.root.glob("checkouts/*/venv.log"))) == 2


@pytest.mark.parametrize(
    "name", ["requirements", "requirements-dev", "lab/requirements", "lab/bootstrap"]
)
def test_a_lock_has_the_versions_that_its_source_names_with_hashes(name: str) -> None:
    source = (PROJECT / f"{name}.in").read_text().splitlines()
    locked = (PROJECT / f"{name}.txt").read_text()
    pins = [line.split()[0] for line in source if "==" in line.split("#")[0]]
    assert pins
    for pin in pins:
        assert f"\n{pin.lower()} \\\n    --hash=sha256:" in locked, pin
    packages = [line for line in locked.splitlines() if "==" in line]
    assert all(line.endswith(" \\") for line in packages), "hashes follow every package"
