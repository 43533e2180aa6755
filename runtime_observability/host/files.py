"""Files that are written atomically and readable only by their owner, and folders of anybody."""

from __future__ import annotations

import errno
import os
import shlex
import tempfile
from contextlib import suppress
from pathlib import Path


def write_private(path: Path, text: str) -> None:
    """Replaces ``path`` with ``text``, mode 0600; creates a missing folder with mode 0700.

    Docker makes a folder of a file that it was told to mount and that was not there: an empty one
    gives way. Raises OSError, for a folder that is not empty with the cure.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.is_dir():
        try:
            path.rmdir()
        except OSError as error:
            if error.errno != errno.ENOTEMPTY:
                raise
            told = f"{path} is a folder with files in it, where a file is wanted: move it away"
            raise IsADirectoryError(told) from None
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def is_folder(path: Path | str) -> bool:
    """False too below a folder that this user may not read, where ``Path.is_dir`` raises."""
    return os.path.isdir(path)  # noqa: PTH112


def own(path: Path | str) -> str:
    """The command by which this user gets all that is in ``path``."""
    return f'`sudo chown -R "$USER" {shlex.quote(str(path))}`'


def take_back(path: Path) -> str:
    """The command by which this user gets what a run of another made, as root's with sudo.

    Empty where ``path`` is this user's, and where no folder above it is: then it was never.
    """
    theirs = ""
    for each in (path, *path.parents):
        with suppress(OSError):  # it is not there, or in a folder that this user may not see
            if each.lstat().st_uid == os.geteuid():
                return theirs and own(theirs)
            theirs = str(each)
    return ""


def files_in(folder: Path) -> list[Path]:
    """The files in ``folder``, sorted; none where this user may not list it, or it is not there."""
    try:
        return sorted(path for path in folder.iterdir() if os.path.isfile(path))  # noqa: PTH113
    except OSError:
        return []


def nearest_folder(path: Path) -> Path:
    """``path``, or the nearest folder above it that is there and may be seen."""
    return next(folder for folder in (path, *path.parents) if is_folder(folder))
