"""`python3 -m lab` on machines on which it cannot work: one line with the cure, nothing made."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.configuration import PROJECT
from tests.live.stack import copy_files


def run(
    *arguments: str, cwd: Path = PROJECT, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        arguments,
        cwd=cwd,
        env={"PATH": os.defpath, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


def lab(command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A command of the lab on a Python without packages, as of a system."""
    return run(sys.executable, "-S", "-m", "lab", command, cwd=PROJECT, **environment)


@pytest.mark.parametrize("release", [(3, 8, 1), (3, 10, 99)])
def test_an_old_python_is_refused_with_the_way_to_name_another(release: tuple[int, ...]) -> None:
    done = run(sys.executable, "-c", f"import sys; sys.version_info = {release}; import lab")
    assert done.returncode == 1
    assert done.stderr == (
        "This project needs Python 3.11 or newer; name one: make PYTHON=python3.12 ...\n"
    )


@pytest.mark.parametrize("command", ["up", "setup"])
def test_a_home_that_is_no_folder_is_one_line_with_the_cure(command: str) -> None:
    done = lab(command, HOME="/dev/null")
    assert done.returncode == 1
    assert done.stderr.strip().startswith("error: /dev/null")
    assert "RUNTIME_OBSERVABILITY_CACHE" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a disk that is full")
def test_a_full_disk_is_one_line_with_the_cure_and_can_be_cleaned(tmp_path: Path) -> None:
    clone = copy_files(tmp_path / "clone")  # `clean` removes the .venv of its own project
    disk = tmp_path / "disk"
    disk.mkdir()
    script = (
        'mount -t tmpfs -o nr_inodes=3 none "$1" && mkdir "$1/cache" && touch "$1/cache/last"; '
        'shift; "$@" setup; code=$?; "$@" clean; exit $code'
    )
    done = run(
        "unshare", "--mount", "sh", "-c", script, "sh", str(disk),
        sys.executable, "-S", "-m", "lab",
        cwd=clone, HOME=str(tmp_path), RUNTIME_OBSERVABILITY_CACHE=f"{disk}/cache",
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert "No space left on device. Free some: `make clean` removes everything" in done.stderr
    assert "Traceback" not in done.stderr
    assert f"removing {disk}/cache" in done.stdout


def test_without_make_the_commands_are_those_of_the_module() -> None:
    done = lab("--help", HOME="/nowhere")
    assert done.returncode == 0
    for command in ("up", "down", "env", "setup", "clean"):
        assert command in done.stdout
    assert shutil.which("make", path=os.defpath) is None or "make" not in done.stderr
