"""The parts of a tier, as processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lab.commands import parts
from tests.live.waiting import until


def python(line: str) -> list[str]:
    return [sys.executable, "-c", line]


def test_each_line_tells_whose_it_is(capfd: pytest.CaptureFixture[str]) -> None:
    said = "import os; print(os.environ['WORD']); raise SystemExit({})"
    assert not parts.run([python(said.format(0)), python(said.format(3))], {"WORD": "héllo"})
    assert sorted(capfd.readouterr().out.splitlines()) == ["1| héllo", "2| héllo"]
    assert parts.run([python("print()")] * 2, {})


def test_they_run_at_the_same_time(tmp_path: Path) -> None:
    """Each waits for the other's file."""
    meet = (
        "import pathlib, sys, time; mine, other = map(pathlib.Path, sys.argv[1:]); mine.touch()\n"
        "while not other.exists(): time.sleep(0.01)"
    )
    names = [str(tmp_path / "a"), str(tmp_path / "b")]
    assert parts.run([[*python(meet), *names], [*python(meet), *names[::-1]]], {})


@pytest.mark.parametrize("seconds", [["1.5", "0"], ["1.5"]], ids=["two", "one"])
def test_after_a_ctrl_c_the_end_of_each_is_waited_for(tmp_path: Path, seconds: list[str]) -> None:
    clears_away = (
        "import pathlib, sys, time\n"
        "file = pathlib.Path(sys.argv[1]); file.write_text('runs')\n"
        "try: time.sleep(60)\n"
        "finally: time.sleep(float(sys.argv[2])); file.write_text('cleared away'); print('told')"
    )
    files = [tmp_path / str(number) for number in range(len(seconds))]
    commands = [
        [*python(clears_away), str(file), of] for file, of in zip(files, seconds, strict=True)
    ]
    runs_them = f"from lab.commands import parts; parts.run({commands!r}, {{}})"
    with subprocess.Popen(
        python(runs_them), start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as terminal:
        until(
            "each runs",
            lambda: all(file.exists() and file.read_text() for file in files),
            20,
            every=0.01,
        )
        os.killpg(terminal.pid, signal.SIGINT)
        assert terminal.wait(20)
        assert {file.read_text() for file in files} == {"cleared away"}
        assert terminal.stdout
        assert terminal.stdout.read().count(b"told") == len(files)
