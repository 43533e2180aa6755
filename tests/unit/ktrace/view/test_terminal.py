"""What is printed on a terminal, and what in a pipe."""

from __future__ import annotations

import io
import sys

import pytest
from rich.table import Table

from ktrace.view import terminal


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_while_something_is_awaited_a_terminal_says_what(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    screen = Screen()
    monkeypatch.setattr(sys, "stderr", screen)
    with terminal.waiting("waiting for [this]"):
        pass
    assert "waiting for [this]; Ctrl-C ends it" in screen.getvalue()


def test_in_a_pipe_nothing_is_said_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    with terminal.waiting("waiting"):
        pass
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", "")


def test_an_address_holds_no_emoji(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table("fd00:a:b::1")
    terminal.console().print("fd00:a:b::1", markup=False)
    terminal.console().print(table)
    assert capsys.readouterr().out.count("fd00:a:b::1") == 2
    assert "fd00:a:b::1" in terminal.plain(table)
