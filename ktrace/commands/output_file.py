"""A file that a command writes when its work is done: refused before, where that can be known."""

from __future__ import annotations

import os
from pathlib import Path

from ktrace.errors import UsageError
from ktrace.text import clean

_OR_ANOTHER = ", or name another file"


def refuse_unwritable(file: Path) -> None:
    """UsageError if ``file`` cannot be written. Creates and changes nothing."""
    if obstacle := _obstacle(file):
        raise UsageError(f"{clean(str(file))} cannot be written: {obstacle}")


def write(file: Path, text: str) -> None:
    """UsageError if ``text`` cannot be written, as on a full disk."""
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise failed(file, error) from None


def failed(file: Path, error: OSError) -> UsageError:
    """Why ``file`` could not be written."""
    reason = f"{error.strerror}: repair that{_OR_ANOTHER}"
    return UsageError(f"{clean(str(file))} cannot be written: {reason}")


def _obstacle(file: Path) -> str:
    """What is in the way of ``file``, with its cure; empty if nothing is known to be."""
    folder = file.parent
    told = clean(str(folder))
    if file.is_dir():
        return "it is a folder: name a file"
    if file.exists():
        writable = os.access(file, os.W_OK)
        return "" if writable else f"it is read-only: make it writable{_OR_ANOTHER}"
    if not folder.exists():
        return f"there is no folder {told}: create it{_OR_ANOTHER}"
    if not folder.is_dir():
        return f"{told} is not a folder: name another file"
    if not os.access(folder, os.W_OK | os.X_OK):
        return f"no file can be created in {told}: make it writable{_OR_ANOTHER}"
    return ""
