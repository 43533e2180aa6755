"""The tests that failed: pytest's processes write them to a file, the summary tells them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

FILE = "RUNTIME_OBSERVABILITY_FAILURES"
"""The environment variable of the file's path."""
_SHOWN = 10
_WIDTH = 200


def add(file: Path, failed: Sequence[tuple[str, str]]) -> None:
    """Append a line for each failed test: its node id and the first line of its error.

    ``failed`` has node ids with pytest's text of the failure, in which "E " begins an error's line.
    """
    with file.open("a", encoding="utf-8") as lines:
        for test, text in failed:
            errors = (line[1:].strip() for line in text.splitlines() if line.startswith("E "))
            lines.write(f"{test}: {next(errors, 'see above')}"[:_WIDTH] + "\n")


def told(file: Path) -> list[str]:
    """Return the lines of the file, of which the user sees the first few; none without a file."""
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    more = len(lines) - _SHOWN
    return lines[:_SHOWN] + ([f"and {more} more"] if more > 0 else [])
