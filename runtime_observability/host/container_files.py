"""Puts files into a container, which need not run: Docker unpacks an archive at its root.

It makes the folders that are missing, which a copy to a file's path does not.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping

from runtime_observability.host import runner


def archive_of(files: Mapping[str, str], *, user: int = 0, mode: int = 0o400) -> bytes:
    """A tar archive of ``files``, texts by absolute path, which belong to ``user``."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for path, text in files.items():
            content = text.encode()
            entry = tarfile.TarInfo(path.lstrip("/"))
            entry.size, entry.mode = len(content), mode
            entry.uid = entry.gid = user
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def unpack(container: str, archive: bytes, *, seconds: float) -> None:
    """Raises CommandError if Docker refuses ``archive`` or takes longer than ``seconds``."""
    copy = ["docker", "cp", "-", f"{container}:/"]
    runner.follow(copy, lambda _: None, stdin=archive, timeout=seconds).checked()
