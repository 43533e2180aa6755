"""How a command of the lab fails."""

from __future__ import annotations

import errno
from pathlib import Path

from lab.paths import PROJECT, Cache
from runtime_observability.host.files import take_back

FULL = {errno.ENOSPC, errno.EDQUOT}
REFUSED = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR}


class LabError(Exception):
    """Ends a command with its text: what failed, why, and what to do about it."""


def in_words(error: OSError, cache: Cache) -> str:
    """Return the path, the reason and the cure of the operating system's error, in one line."""
    reason = error.strerror or str(error)
    if error.errno in FULL:
        # A failed write names no file.
        return (
            f"{error.filename or f'{cache.root} or {PROJECT}'}: {reason}. Free some: `make clean` "
            "removes everything that the lab has made; or set RUNTIME_OBSERVABILITY_CACHE to a "
            "folder on another disk"
        )
    if error.filename is None:
        return reason
    if error.errno not in REFUSED:
        return f"{error.filename}: {reason}"
    path = Path(str(error.filename))
    elsewhere = ", or set RUNTIME_OBSERVABILITY_CACHE to a folder that is"
    of_cache = path.is_relative_to(cache.root) or cache.root.is_relative_to(path)
    taking = take_back(path)
    cure = (
        f"Run {taking}, because it is another user's"
        if taking
        else "Make it writable for this user"
    )
    return f"{path}: {reason}. {cure}{elsewhere if of_cache else ''}"
