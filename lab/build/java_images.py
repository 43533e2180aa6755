"""Images of servers in Java for tests alone, which give Java its arguments."""

from __future__ import annotations

import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from lab.build import packages
from lab.build.images import PREFIX, Image
from lab.build.opensearch import JAVA_HOME, java
from lab.build.steps import Step

_USER = 999


def of(step: Step, release: str, home: str) -> Image:
    """Return the image with the output of ``step`` in the folder ``home``, where all may read it.

    It writes into /tmp.
    """

    def readable(entry: tarfile.TarInfo) -> tarfile.TarInfo:
        entry.uid = entry.gid = 0
        entry.uname = entry.gname = ""
        entry.mode = 0o755 if entry.isdir() else 0o644
        return entry

    def write(built: Mapping[str, Path], stream: IO[bytes]) -> None:
        with tarfile.open(fileobj=stream, mode="w|") as tree:
            packages.add(built["java"], tree)
            tree.add(built[step.name], home.lstrip("/"), filter=readable)

    instructions = (f'ENTRYPOINT ["{JAVA_HOME}/bin/java"]', "WORKDIR /tmp", f"USER {_USER}")
    return Image(f"{PREFIX}/{step.name}:{release}", (java, step), instructions, write)
