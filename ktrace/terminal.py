"""What a command prints: colour and width for a person, plain lines for a pipe, or JSON."""

from __future__ import annotations

import json
import sys
from typing import Any

from rich.console import Console

_PIPE_WIDTH = 120
"""Columns where there is no terminal to fit: rich would take 80 and cut."""


def console(*, error: bool = False) -> Console:
    stream = sys.stderr if error else sys.stdout
    plain = not stream.isatty()
    return Console(
        stderr=error,
        highlight=False,
        soft_wrap=plain,
        no_color=plain or None,
        width=_PIPE_WIDTH if plain else None,
    )


def print_json(document: Any) -> None:
    print(json.dumps(document, indent=2))


def milliseconds(value: float) -> str:
    """For a person: ``0.4 ms``, ``155 ms``, ``2.31 s``."""
    if value >= 1000:
        return f"{value / 1000:.2f} s"
    return f"{value:.0f} ms" if value >= 10 else f"{value:.1f} ms"
