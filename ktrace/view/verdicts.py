"""Verdicts on expectations: as JSON, and as lines in the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ktrace.document import versioned
from ktrace.view.terminal import counted

if TYPE_CHECKING:
    from rich.console import RenderableType

    from ktrace.expect.verdict import Judged, Verdict

_INDENT = " " * 8


def document(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """The shape that ``assert --json`` promises: docs/schemas/assert.json."""
    return versioned(
        {
            "ok": all(verdict.ok for verdict in verdicts),
            "expectations": [_entry(verdict) for verdict in verdicts],
        }
    )


def entries(judged: Judged) -> list[dict[str, Any]]:
    """As ``run --json`` has them: each with its file."""
    return [
        {"suite": suite, **_entry(verdict)}
        for suite, verdicts in judged.suites
        for verdict in verdicts
    ]


def of_command(judged: Judged) -> Iterator[RenderableType]:
    """The lines below a report, with a heading for each file if there are several."""
    for suite, verdicts in judged.suites:
        if len(judged.suites) > 1:
            yield f"{suite}:"
        yield from lines(verdicts)


def lines(verdicts: Sequence[Verdict]) -> Iterator[RenderableType]:
    from rich.text import Text  # noqa: PLC0415  --json does not wait for it

    from ktrace.view.lines import Line  # noqa: PLC0415

    for verdict in verdicts:
        found = counted(verdict.found, verdict.noun)
        told = Text.assemble(_result(verdict), f"  {verdict.name} ({found})")
        yield Line(told, follow=_INDENT)
        for failure in verdict.failures:
            yield f"{_INDENT}{failure}"
        for nearest in verdict.nearest:
            yield f"{_INDENT}nearest: {nearest}"
        for note in verdict.notes:
            yield f"{_INDENT}note: {note}"


def _entry(verdict: Verdict) -> dict[str, Any]:
    return {
        "name": verdict.name,
        "ok": verdict.ok,
        "judged": verdict.judged,
        "found": verdict.found,
        "counted": verdict.noun,
        "failures": list(verdict.failures),
        "nearest": list(verdict.nearest),
        "notes": list(verdict.notes),
    }


def _result(verdict: Verdict) -> tuple[str, str]:
    if not verdict.judged:
        return "?     ", "bold yellow"
    return ("ok    ", "green") if verdict.ok else ("FAILED", "bold red")
