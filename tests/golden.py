"""Golden files: outputs that a person has read and committed.

With ``UPDATE_GOLDEN=1`` the tests that run rewrite theirs: read the diff afterwards.
"""

from __future__ import annotations

import os
from pathlib import Path


def check(path: Path, text: str) -> None:
    """Fails if ``text`` differs from the content of ``path``."""
    if os.environ.get("UPDATE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    assert path.is_file(), "no golden file: run with UPDATE_GOLDEN=1 and read what it wrote"
    assert text == path.read_text()
