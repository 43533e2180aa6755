"""The result of one check of ``ktrace doctor``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Status = Literal["ok", "warning", "failure"]

UP_STOPS = "`pulumi up` stops before it creates anything"


@dataclass(frozen=True)
class Finding:
    check: str
    status: Status
    seen: str
    breaks: str = ""
    """What does not work because of it; empty for ok, as is ``cure``."""
    cure: str = ""


def problems(check: str, found: list[str], fine: str) -> list[Finding]:
    """Findings of preflight's problems, whose texts end in their cure; ``fine``: seen if none."""
    if not found:
        return [Finding(check, "ok", fine)]
    findings = []
    for problem in found:
        seen, _, cure = problem.rpartition(". " if ". " in problem else ": ")
        findings.append(Finding(check, "failure", seen, UP_STOPS, cure))
    return findings
