"""Servers of the lab that this machine's Java runs, for the time of the tests."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from lab.build.steps import Step
from lab.paths import Cache

NOBODY = 65534
"""Who runs them where the tests are root's: some refuse to."""


@dataclass(frozen=True, kw_only=True)
class Server:
    """One that runs, and where its files are."""

    process: subprocess.Popen[bytes]
    home: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def data(self) -> Path:
        return self.home / "data"

    @property
    def log(self) -> Path:
        return self.home / "log"


def built(step: Step) -> Path | None:
    """The folder that ``step`` makes; None where it is not built, or no Java can run it."""
    folder = step.output(Cache.of_this_user())
    return folder if folder.is_dir() and shutil.which("java") else None


def needed(step: Step, name: str) -> Path:
    """Like ``built``; without one the test fails in CI and is skipped elsewhere."""
    if found := built(step):
        return found
    told = f"no {name}: `make contract` builds the lab's"
    if os.environ.get("CI"):
        pytest.fail(told)
    pytest.skip(told)
