"""How a text is broken into the lines of a terminal."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from ktrace.view import terminal
from ktrace.view.lines import Branch, Cell, Line
from tests.configuration import PROJECT
from tests.unit.ktrace.view.test_terminal import Screen

LINK = "http://127.0.0.1:21886/trace/70d406278e43eb95a939d7e58c996130"
COMMAND = "`pulumi config set runtime-observability:jaegerMaxTraces 100000 --stack one`"

Shown = Callable[[RenderableType, int], list[str]]


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> Shown:
    """The lines that a terminal of so many columns shows."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")

    def lines(what: RenderableType, columns: int) -> list[str]:
        screen = Screen()
        monkeypatch.setenv("COLUMNS", str(columns))
        monkeypatch.setattr(sys, "stdout", screen)
        terminal.show(what)
        return re.sub(r"\x1b\[[0-9;]*m", "", screen.getvalue()).splitlines()

    return lines


def test_a_text_goes_on_behind_its_first_column(shown: Shown) -> None:
    assert shown("one two three four", 9) == ["one two", "  three", "  four"]
    narrow = shown(Line(Text("one two"), " " * 20), 24)
    assert narrow == ["   one two"], "a narrow line is for the text"
    assert shown("  one two three", 20) == ["  one two three"]


def test_what_follows_is_chosen(shown: Shown) -> None:
    assert shown(Line("ok    it is so and so", follow=" " * 6), 18) == [
        "ok    it is so and",
        "      so",
    ]


@pytest.mark.parametrize("whole", [LINK, COMMAND])
@pytest.mark.parametrize("columns", [20, 60, 80])
def test_a_link_and_a_command_are_never_broken(shown: Shown, whole: str, columns: int) -> None:
    lines = shown(f"note: see {whole} and go on there, which is more than one line has", columns)
    assert sum(whole in line for line in lines) == 1
    assert all(len(line) <= columns for line in lines if whole not in line)
    assert "".join("".join(lines).split()).count("goonthere") == 1


def test_a_name_is_broken_behind_its_signs(shown: Shown) -> None:
    assert shown(Cell("kube-controller-manager/v1.36.3"), 26) == [
        "kube-controller-manager/",
        "  v1.36.3",
    ]
    assert shown("x" * 25, 10) == ["x" * 10, "  " + "x" * 8, "  " + "x" * 7]


def test_a_time_stays_with_its_unit(shown: Shown) -> None:
    assert shown("postStart of main 1.06 s, 2 min 0.5 s", 21) == [
        "postStart of main",
        "  1.06 s, 2 min 0.5 s",
    ]


def test_a_wide_character_takes_two_columns(shown: Shown) -> None:
    lines = shown("\u5bb9\u5668" * 20, 21)
    assert max(map(cell_len, lines)) <= 21
    assert "".join(line.strip() for line in lines) == "\u5bb9\u5668" * 20


def test_a_cell_of_a_table_is_never_cut(shown: Shown) -> None:
    table = Table(box=None, pad_edge=False)
    table.add_column("took", no_wrap=True)
    table.add_column("step")
    table.add_row("12 ms", Cell(f"    pull of {LINK} and more"))
    lines = shown(table, 40)
    assert max(map(len, lines)) <= 40
    assert LINK in "".join("".join(lines).split())
    assert all(line.startswith(" " * 11) for line in lines[2:]), "it keeps its indent"


def test_a_tree_goes_on_within_its_guides(shown: Shown) -> None:
    tree = Branch("kubectl apply -f deployment.yaml (exit 0)")
    pod = tree.add(f"pod default/web started in 1.62 s  containerd, kubelet  {LINK}")
    pod.add("sandbox  714 ms")
    tree.add("note: nothing more is known of what followed")
    assert shown(tree, 40) == [
        "kubectl apply -f deployment.yaml (exit",
        "│ 0)",
        "├── pod default/web started in 1.62 s",
        "│   │ containerd, kubelet",
        f"│   │ {LINK}",
        "│   └── sandbox  714 ms",
        "└── note: nothing more is known of what",
        "      followed",
    ]
    assert terminal.plain(tree).splitlines() == [
        "kubectl apply -f deployment.yaml (exit 0)",
        f"├── pod default/web started in 1.62 s  containerd, kubelet  {LINK}",
        "│   └── sandbox  714 ms",
        "└── note: nothing more is known of what followed",
    ]


def test_markup_in_a_text_is_text(shown: Shown) -> None:
    assert shown("[bold]a[/bold] [x]", 40) == ["[bold]a[/bold] [x]"]


@given(
    st.lists(st.text(st.sampled_from("ab-/. `\u5bb9"), max_size=30), max_size=8).map(" ".join),
    st.integers(2, 50),
)
def test_nothing_is_lost_and_no_line_without_a_command_is_too_long(text: str, columns: int) -> None:
    screen = Console(file=io.StringIO(), width=columns)
    with screen.capture() as captured:
        screen.print(Line(text), crop=False)
    printed = captured.get()
    assert "".join(printed.split()) == "".join(text.split())
    for line in printed.splitlines():
        assert "`" in line or cell_len(line) <= max(columns, 4)


def test_nothing_is_printed_past_this() -> None:
    """Else a link is cut, or a text goes on in the first column."""
    others = [
        str(file)
        for file in (PROJECT / "ktrace").rglob("*.py")
        if re.search(r"\.print\(", file.read_text()) and file.name != "terminal.py"
    ]
    assert others == []
