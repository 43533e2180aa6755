"""A `docker` on PATH whose containers are this machine's curl: they reach what runs on it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests import lacking

_DOCKER = """#!/bin/sh
case $1 in
  info)
    case $3 in
      '{{.ID}}') echo "$DOCKER_ID" ;;
      *) printf '{"ServerVersion": "29.0.0", "Architecture": "x86_64", "ID": "%s"}' "$DOCKER_ID" ;;
    esac
    ;;
  create) echo curl ;;
  cp) tar --extract --overwrite --directory "$CONTAINER_ROOT" ;;
  start) sed 's|^cacert = "|&'"$CONTAINER_ROOT"'|' | curl --config - ;;
  rm) ;;
  *) echo "docker $*: not one of these" >&2; exit 64 ;;
esac
"""


def put_on_path(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Until the test ends; without curl the test fails in CI and is skipped elsewhere."""
    if not shutil.which("curl"):
        lacking.refuse("no curl: install it")
    program = folder / "docker"
    program.write_text(_DOCKER)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("CONTAINER_ROOT", str(folder))


def of_daemon(id_: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on the daemon is the one with ``id_``."""
    monkeypatch.setenv("DOCKER_ID", id_)
