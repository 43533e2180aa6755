"""What ``ktrace doctor`` found, as JSON and for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from rich.text import Text

from ktrace.checks.finding import Finding
from ktrace.view.lines import Line

_LABELS = {"ok": ("ok", "green"), "warning": ("warn", "yellow"), "failure": ("FAIL", "bold red")}


def document(findings: Sequence[Finding], *, ok: bool) -> dict[str, Any]:
    """The shape that ``doctor --json`` promises."""
    return {"ok": ok, "findings": [asdict(finding) for finding in findings]}


def lines(findings: Sequence[Finding]) -> Iterator[Line]:
    """A line for each finding; two more for one that is not ok."""
    width = max(len(finding.check) for finding in findings)
    below = " " * (width + 7)
    for finding in findings:
        label, style = _LABELS[finding.status]
        told = Text.assemble((f"{label:<5}", style), f"{finding.check:<{width}}  {finding.seen}")
        yield Line(told, follow=below)
        if finding.status != "ok":
            yield Line(f"breaks: {finding.breaks}", below)
            yield Line(f"cure: {finding.cure}", below)
