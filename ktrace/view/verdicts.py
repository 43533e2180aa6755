"""Verdicts on expectations: as JSON, and as lines in the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from rich.text import Text

from ktrace.document import versioned
from ktrace.expect.judge import Verdict
from ktrace.view import terminal
from ktrace.view.terminal import counted

_INDENT = " " * 8


def document(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """The shape that ``assert --json`` promises: docs/schemas/assert.json."""
    return versioned(
        {
            "ok": all(verdict.ok for verdict in verdicts),
            "expectations": [
                {
                    "name": verdict.name,
                    "ok": verdict.ok,
                    "judged": verdict.judged,
                    "found": verdict.found,
                    "failures": list(verdict.failures),
                    "nearest": list(verdict.nearest),
                    "notes": list(verdict.notes),
                }
                for verdict in verdicts
            ],
        }
    )


def lines(verdicts: Sequence[Verdict]) -> Iterator[Text]:
    for verdict in verdicts:
        yield Text.assemble(
            _result(verdict), f"  {verdict.name} ({counted(verdict.found, 'span')})"
        )
        for failure in verdict.failures:
            yield terminal.text(f"{_INDENT}{failure}")
        for span in verdict.nearest:
            yield terminal.text(f"{_INDENT}nearest: {span}")
        for note in verdict.notes:
            yield terminal.text(f"{_INDENT}note: {note}")


def _result(verdict: Verdict) -> tuple[str, str]:
    if not verdict.judged:
        return "?     ", "bold yellow"
    return ("ok    ", "green") if verdict.ok else ("FAILED", "bold red")
