"""Why a run cannot go on, as a value: what shows it decides on the words around it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

UNTOUCHED = "nothing was touched, because"
"""Heads the problems that stop a run before its first change."""


@dataclass(frozen=True)
class Problem:
    """``key`` is a configuration key, or the part of the machine that the problem is about."""

    key: str
    seen: str
    """The value or the state that was found."""
    why: str = ""
    """The rule that it breaks, or the reason."""
    cure: str = ""
    """What to do about it."""

    def __str__(self) -> str:
        """One line: ``KEY: SEEN: WHY. CURE``."""
        line = ": ".join(filter(None, (self.key, self.seen, self.why)))
        return f"{line}. {self.cure[0].upper()}{self.cure[1:]}" if self.cure else line


class ProblemsError(ValueError):
    """``problems`` stop a run before it changes anything; the text has a line for each."""

    def __init__(self, heading: str, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        lines = "\n".join(f"  - {problem}" for problem in self.problems)
        super().__init__(f"{heading}:\n{lines}")
