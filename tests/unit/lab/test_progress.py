"""The lines that show that work goes on."""

from __future__ import annotations

import io
import time
from collections.abc import Callable

import pytest

from lab import progress as module
from lab.progress import Display, clock, progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not happened() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert happened()


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "QUIET_SECONDS", 0.0)
    monkeypatch.setattr(module, "SECONDS_BETWEEN_LINES", 0.01)


@pytest.mark.parametrize("stream", [io.StringIO(), Terminal()])
def test_what_takes_no_time_is_not_announced(stream: io.StringIO) -> None:
    with progress("short", stream=stream):
        pass
    assert "short" not in stream.getvalue()


@pytest.mark.usefixtures("hasty")
def test_a_log_gets_a_line_with_all_that_runs_what_is_left_and_how_each_ends() -> None:
    shown = io.StringIO()
    with Display(lambda: "about 12 min left", stream=shown) as display:
        with display.item("[pulumi]"), display.item("jaeger"):
            until(lambda: "0:00 [pulumi]; 0:00 jaeger; about 12 min left\n" in shown.getvalue())
        with pytest.raises(ValueError, match="reason"), display.item("k3d"):
            raise ValueError("reason")
        with pytest.raises(KeyboardInterrupt), display.item("node"):
            raise KeyboardInterrupt
    assert shown.getvalue().endswith(
        "jaeger: done in 0:00\n[pulumi]: done in 0:00\nk3d: failed in 0:00\nnode: stopped in 0:00\n"
    )
    assert "\033" not in shown.getvalue()


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("columns", [44, 20])
def test_a_live_line_fits_the_terminal(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TERM", "xterm")
    shown = Terminal()
    name = "a build with a name that is longer than the terminal is wide"
    summary = "3 of 9 parts are built, about 12 min left"
    with Display(lambda: summary, stream=shown) as display, display.item(name):
        until(lambda: "0:00 a build" in shown.getvalue())
        live = shown.getvalue()
    lines = live.replace("\r", "\n").split("\n")
    assert any("…" in line for line in lines), "cut, not wrapped"
    assert name not in live


def test_a_duration_is_in_minutes_and_seconds() -> None:
    assert [clock(seconds) for seconds in (0.4, 65, 3600)] == ["0:00", "1:05", "60:00"]
