"""What is printed on a terminal, and what in a pipe."""

from __future__ import annotations

import io
import re
import sys

import pytest
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ktrace.bundle import session
from ktrace.view import terminal
from tests.configuration import PROJECT

ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
UNTIL = "; Ctrl-C ends it"


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


@pytest.mark.parametrize("columns", [1, 20, 60, 200])
def test_what_is_awaited_is_one_line_on_any_terminal(
    monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", str(columns))
    screen = Screen()
    monkeypatch.setattr(sys, "stderr", screen)
    with terminal.telling("waiting") as tell:
        tell(f"1 of 3 [pods] of deployment shop/{'long-' * 12}name have started: {'words ' * 20}")
    drawn = re.split(r"[\r\n]+", ESCAPE.sub("", screen.getvalue()).strip("\r\n"))
    assert max(map(len, drawn)) <= columns
    assert screen.getvalue().count("\x1b[1A") == 1, "one line was drawn, and is taken away"
    if columns > len(UNTIL) + 2:
        assert all(line.endswith(UNTIL) for line in drawn), "how to end it is never cut"


def rows() -> Table:
    table = Table(box=None)
    table.add_column("name", style="bold")
    table.add_column("what")
    for name, what in (("short", ""), ("long", "a text that is much longer"), ("", "")):
        table.add_row(name, what)
    return table


ANYTHING = [rows(), Group(rows(), Text("last  ")), Text("one \n  two\n\n"), Text("   ")]


@pytest.mark.parametrize("what", ANYTHING)
@pytest.mark.parametrize("forced", ["", "1"])
def test_no_line_ends_in_blanks(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    what: RenderableType,
    forced: str,
) -> None:
    monkeypatch.setenv("FORCE_COLOR", forced)
    monkeypatch.delenv("NO_COLOR", raising=False)
    terminal.console().print(what, style="dim")
    printed = [ESCAPE.sub("", line) for line in capsys.readouterr().out.splitlines()]
    plain = terminal.plain(what).split("\n")
    for lines in (printed, plain):
        assert [line.rstrip() for line in lines] == lines
    assert any(printed) == any(plain), "nothing but blanks is taken away"


def test_all_consoles_are_made_here() -> None:
    others = [
        str(file)
        for file in (PROJECT / "ktrace").rglob("*.py")
        if re.search(r"\bConsole\(", file.read_text()) and file.name != "terminal.py"
    ]
    assert others == []


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (0, "0.0 ms"),
        (9.94, "9.9 ms"),
        (9.96, "10 ms"),
        (999.4, "999 ms"),
        (999.6, "1.00 s"),
        (59_994, "59.99 s"),
        (59_996, "1 min 0.0 s"),
        (77_820, "1 min 17.8 s"),
        (119_960, "2 min 0.0 s"),
        (1_220_590, "20 min 20.6 s"),
        (3_599_940, "59 min 59.9 s"),
        (3_599_960, "1 h 0 min"),
        (7_800_000, "2 h 10 min"),
    ],
)
def test_a_time_is_told_in_units_that_a_person_reads(value: float, told: str) -> None:
    assert terminal.milliseconds(value) == told


@pytest.mark.parametrize("number", [0, 1, 9])
def test_few_links_are_all_there(number: int) -> None:
    links = [f"http://127.0.0.1/trace/{at}" for at in range(number)]
    assert terminal.few(links) == links


def test_of_many_links_the_first_and_the_last_are_there() -> None:
    links = [f"http://127.0.0.1/trace/{at}" for at in range(1_234)]
    assert terminal.few(links) == [*links[:4], "… 1,226 more: see --json", *links[-4:]]
