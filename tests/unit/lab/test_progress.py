"""The line that shows that work goes on."""

from __future__ import annotations

import io
import time

import pytest

from lab import progress as module
from lab.progress import estimate, live_line, progress


def test_what_takes_no_time_is_not_announced() -> None:
    shown = io.StringIO()
    with progress("short", stream=shown):
        pass
    assert not shown.getvalue()


@pytest.mark.parametrize(
    ("columns", "line"),
    [
        (80, "[1/3] kubernetes-1.34: building 0:12 (about 4 min cold)"),
        (56, "[1/3] kubernetes-1.34: building 0:12 (about 4 min cold)"),
        (55, "[1/3] kubernetes-1.34: building 0:12"),
        (30, "[1/3] kubernetes-1.34: b 0:12"),
        (4, "0:1"),
    ],
)
def test_the_live_line_fits_the_terminal_and_keeps_the_time(columns: int, line: str) -> None:
    shown = live_line("[1/3] kubernetes-1.34: building", "0:12", "(about 4 min cold)", columns)
    assert shown == line
    assert len(shown) < columns


def test_an_estimate_is_shown_until_it_is_exceeded() -> None:
    assert estimate(4, 239) == "(about 4 min cold)"
    assert estimate(4, 241) == ""
    assert estimate(0.5, 1) == ""


def test_a_terminal_of_unknown_width_gets_the_line(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(module, "QUIET_SECONDS", 0.0)
    shown = Terminal()
    with progress("slow", minutes=4, stream=shown):
        deadline = time.monotonic() + 10
        while not shown.getvalue() and time.monotonic() < deadline:
            time.sleep(0.01)
    assert "\r\033[Kslow 0:00 (about 4 min cold)" in shown.getvalue()
