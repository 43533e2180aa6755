"""What a command prints: colour and width for a person, plain lines for a pipe, or JSON."""

from __future__ import annotations

import io
import json
import sys
from typing import Any

from rich.console import Console, RenderableType
from rich.status import Status
from rich.text import Text

PIPE_WIDTH = 400
"""Columns where there is no terminal to fit: enough that nothing is cut."""


def console(*, error: bool = False) -> Console:
    stream = sys.stderr if error else sys.stdout
    plain = not stream.isatty()
    return Console(
        stderr=error,
        highlight=False,
        emoji=False,
        soft_wrap=plain,
        no_color=plain or None,
        width=PIPE_WIDTH if plain else None,
    )


def waiting(what: str) -> Status:
    """For ``with``: one line on stderr meanwhile, gone afterwards, where that is a terminal."""
    return console(error=True).status(text(f"{what}; Ctrl-C ends it"))


def print_json(document: Any) -> None:
    print(as_json(document))


def milliseconds(value: float) -> str:
    """For a person: ``0.4 ms``, ``155 ms``, ``2.31 s``."""
    if value >= 1000:
        return f"{value / 1000:.2f} s"
    return f"{value:.0f} ms" if value >= 10 else f"{value:.1f} ms"


def as_json(document: Any) -> str:
    return json.dumps(document, indent=2)


def text(line: str) -> Text:
    """A line as it is: names of objects are no markup."""
    return Text(line)


def plain(what: RenderableType) -> str:
    """As it would be in a pipe."""
    target = Console(
        file=io.StringIO(),
        width=PIPE_WIDTH,
        no_color=True,
        soft_wrap=True,
        highlight=False,
        emoji=False,
    )
    with target.capture() as captured:
        target.print(what, soft_wrap=True)
    return captured.get().rstrip("\n")
