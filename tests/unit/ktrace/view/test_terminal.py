"""What is printed on a terminal, and what in a pipe."""

from __future__ import annotations

import io
import sys

import pytest
from rich.table import Table

from ktrace.bundle import session
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


@pytest.mark.parametrize(
    ("variables", "coloured"),
    [
        ({}, False),
        ({"FORCE_COLOR": "1"}, True),
        ({"FORCE_COLOR": ""}, False),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
        ({"TTY_COMPATIBLE": "1"}, False),
    ],
)
def test_a_pipe_has_colours_only_where_they_are_forced(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
    coloured: bool,
) -> None:
    for name in ("FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    terminal.console().print("x" * 300, style="bold red")
    with terminal.waiting("waiting"):
        pass
    printed = capsys.readouterr()
    assert ("\x1b[" in printed.out) is coloured
    assert len(printed.out.splitlines()) == 1, "nothing is wrapped"
    assert printed.err == "", "nothing moves in a log"


@pytest.mark.parametrize(("variable", "coloured"), [("NO_COLOR", False), ("FORCE_COLOR", True)])
def test_a_terminal_has_colours_unless_they_are_unwanted(
    monkeypatch: pytest.MonkeyPatch, variable: str, coloured: bool
) -> None:
    for name in ("FORCE_COLOR", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, "1")
    monkeypatch.setenv("TERM", "xterm")
    screen = Screen()
    monkeypatch.setattr(sys, "stdout", screen)
    terminal.console().print("red", style="red")
    assert ("\x1b[31m" in screen.getvalue()) is coloured


def test_nobody_is_told_to_wait_for_a_bundle(monkeypatch: pytest.MonkeyPatch) -> None:
    class Replayed(session.Live):
        waits = False

    screen = Screen()
    monkeypatch.setattr(sys, "stderr", screen)
    session.use(Replayed())
    try:
        with terminal.waiting("waiting"), terminal.telling("waiting") as tell:
            tell("still waiting")
    finally:
        session.use(session.Live())
    assert screen.getvalue() == ""


@pytest.mark.parametrize("number", [0, 1, 9])
def test_few_links_are_all_there(number: int) -> None:
    links = [f"http://127.0.0.1/trace/{at}" for at in range(number)]
    assert terminal.few(links) == links


def test_of_many_links_the_first_and_the_last_are_there() -> None:
    links = [f"http://127.0.0.1/trace/{at}" for at in range(1_234)]
    assert terminal.few(links) == [*links[:4], "… 1,226 more: see --json", *links[-4:]]
