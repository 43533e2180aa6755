"""Files that hold what something was when a person last looked at it.

``UPDATE_GOLDEN=1`` rewrites those that the tests at hand ask for: read the diff then.
"""

from __future__ import annotations

import os
from pathlib import Path


def check(path: Path, text: str) -> None:
    """Fails where ``text`` is not what ``path`` holds."""
    if os.environ.get("UPDATE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    assert path.is_file(), "no golden file: run with UPDATE_GOLDEN=1 and read what it wrote"
    assert text == path.read_text()
