"""The result of one check of ``ktrace doctor``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from ktrace.text import clean
from runtime_observability.core.problem import Problem

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

    def cleaned(self) -> Finding:
        """The same as plain text: what a tool or the daemon prints is in it."""
        return replace(
            self, seen=clean(self.seen), breaks=clean(self.breaks), cure=clean(self.cure)
        )


def problems(check: str, found: Sequence[Problem], fine: str) -> list[Finding]:
    """A failure for each problem that stops `pulumi up`; ``fine`` is shown where there is none."""
    if not found:
        return [Finding(check, "ok", fine)]
    return [
        Finding(
            check,
            "failure",
            ": ".join(filter(None, (problem.seen, problem.why))),
            UP_STOPS,
            problem.cure,
        )
        for problem in found
    ]
