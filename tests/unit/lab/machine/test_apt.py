"""Installing Debian packages."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lab.errors import LabError
from lab.machine import apt

# apt-get update exits with 0 when it cannot fetch, unless its error mode is `any`.
APT_GET = """#!/bin/sh
case "$*" in
  update*APT::Update::Error-Mode=any*) echo 'E: Could not connect to proxy:3128' >&2; exit 100 ;;
  update*) exit 0 ;;
  install*) echo 'E: Unable to locate package debootstrap' >&2; exit 100 ;;
esac
"""


def test_lists_that_cannot_be_fetched_are_the_error_and_not_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "apt-get").write_text(APT_GET)
    (tmp_path / "apt-get").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(LabError, match=r"apt-get update.*\n.*Could not connect to proxy") as failed:
        apt.install(["debootstrap"], "the node image")
    assert "Unable to locate" not in str(failed.value)
