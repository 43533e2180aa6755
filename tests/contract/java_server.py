"""Servers of the lab that this machine's Java runs, for the time of the tests."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lab.build.steps import Step
from lab.paths import Cache
from tests import lacking

_NOBODY = 65534
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
    found = built(step)
    if found is None:
        lacking.refuse(f"no {name}: `make contract` builds the lab's")
    return found


@contextmanager
def copied(built: Path) -> Iterator[Path]:
    """A copy of ``built`` for one server, removed at the end.

    It is not in a folder of pytest's: those are closed to the user that runs it.
    """
    with tempfile.TemporaryDirectory(prefix=f"{built.name}-") as folder:
        home = Path(folder) / "home"
        shutil.copytree(built, home)
        yield home


@contextmanager
def started(home: Path, arguments: Sequence[str]) -> Iterator[subprocess.Popen[bytes]]:
    """Java with ``arguments``, which is ended at the end and may write into ``home`` alone."""
    user = _NOBODY if os.geteuid() == 0 else None
    if user is not None:
        for path in (home.parent, home, *home.rglob("*")):
            os.chown(path, user, user)
    with (
        (home / "log").open("wb") as stream,
        subprocess.Popen(
            ["java", *arguments],
            cwd=home,
            user=user,
            group=user,
            stdout=stream,
            stderr=subprocess.STDOUT,
        ) as process,
    ):
        try:
            yield process
        finally:
            process.terminate()
