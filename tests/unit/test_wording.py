"""Phrases that a stranger does not understand at once do not come back."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.configuration import PROJECT
from tests.unit.test_architecture import tracked

RETIRED = [
    "that there is not",
    "is no tag of",
    "is given what that is given",
    "it is not used",
    "stands still",
    "stand still",
    "half made",
    "half-made",
    "made anew",
    "mends it",
    "will mend",
    "asked/asks",
]


@pytest.mark.parametrize("phrase", RETIRED)
def test_no_file_has_a_retired_phrase(phrase: str) -> None:
    here = Path(__file__).relative_to(PROJECT)
    text_files = (
        file
        for pattern in ("*.py", "*.md", "*.yaml", "*.sh", "Makefile", "*.toml")
        for file in tracked(pattern)
        if Path(file) != here
    )
    found = [file for file in text_files if phrase in (PROJECT / file).read_text().lower()]
    assert found == []
