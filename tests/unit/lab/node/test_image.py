"""The files that every node image has besides the programs."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest

from lab.build.workbench import Workbench
from lab.node import image
from lab.paths import Cache

GO = """#!/bin/sh
if [ "$1" = version ]; then echo go version go9.0.0 linux/amd64; exit; fi
env > "$(dirname "$0")/environment"
while [ "$1" != -o ]; do shift; done
echo pause > "$2"
"""


def test_the_pause_program_is_built_in_the_caches_of_the_lab(
    tmp_path: Path, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "go").write_text(GO)
    (tmp_path / "go").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    for folder in ("base", "out"):
        (tmp_path / folder).mkdir()
    with tarfile.open(tmp_path / "base" / "base.tar", "w") as base:
        busybox = b"#!/bin/sh\necho sh\n"
        entry = tarfile.TarInfo("./usr/bin/busybox")
        entry.size = len(busybox)
        base.addfile(entry, io.BytesIO(busybox))
    with (tmp_path / "log").open("wb") as log:
        image.node_files.build(
            Workbench(tmp_path / "out", {"node-base": tmp_path / "base"}, cache, log)
        )
    environment = (tmp_path / "environment").read_text().splitlines()
    assert f"GOCACHE={cache.go_build}" in environment
