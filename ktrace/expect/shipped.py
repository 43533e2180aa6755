"""The shipped expectations, by name."""

from __future__ import annotations

from pathlib import Path

from ktrace.errors import UsageError
from ktrace.expect import BUILTIN


def names() -> list[str]:
    return sorted(file.stem for file in BUILTIN.glob("*.yaml"))


def find(file_or_name: str) -> Path:
    """The file of that path, or else the shipped one of that name.

    Whatever has a folder or an ending is a path. Raises UsageError, with the known names, for what
    is neither.
    """
    path = Path(file_or_name)
    is_a_name = path.name == file_or_name and not path.suffix
    if not is_a_name or (path.exists() and not path.is_dir()):
        return path
    if file_or_name in names():
        return BUILTIN / f"{file_or_name}.yaml"
    raise UsageError(
        f"{file_or_name!r} is neither a file nor the name of shipped expectations; their names are "
        f"{' and '.join(names())}"
    )
