"""Verdicts on expectations: as JSON, and as lines in the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from rich.text import Text

from ktrace.expect.judge import Verdict
from ktrace.view import terminal
from ktrace.view.terminal import counted

_INDENT = " " * 8


def document(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """The shape that ``assert --json`` promises."""
    return {
        "ok": all(verdict.ok for verdict in verdicts),
        "expectations": [
            {
                "name": verdict.name,
                "ok": verdict.ok,
                "found": verdict.found,
                "failures": list(verdict.failures),
                "nearest": list(verdict.nearest),
            }
            for verdict in verdicts
        ],
    }


def lines(verdicts: Sequence[Verdict]) -> Iterator[Text]:
    for verdict in verdicts:
        result = ("ok    ", "green") if verdict.ok else ("FAILED", "bold red")
        yield Text.assemble(result, f"  {verdict.name} ({counted(verdict.found, 'span')})")
        for failure in verdict.failures:
            yield terminal.text(f"{_INDENT}{failure}")
        for span in verdict.nearest:
            yield terminal.text(f"{_INDENT}nearest: {span}")
