"""Where a build step works: its folders, and the commands that it runs.

Standard library only: .venv itself is made on a workbench.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from lab.errors import LabError
from lab.paths import Cache


class Interruption:
    """Ends the builds that run in several threads, with the processes that they have started."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self._lock = threading.Lock()
        self._processes: set[subprocess.Popen[bytes]] = set()

    @contextlib.contextmanager
    def ends(self, process: subprocess.Popen[bytes]) -> Iterator[None]:
        """End this process, too, if an interruption comes while it runs."""
        with self._lock:
            self._processes.add(process)
        if self.asked.is_set():
            process.terminate()
        try:
            yield
        finally:
            with self._lock:
                self._processes.discard(process)

    def ask(self) -> None:
        """End every process, and make every later one end at once."""
        self.asked.set()
        with self._lock:
            for process in self._processes:
                process.terminate()


@dataclass(frozen=True)
class Workbench:
    """What a step's `build` gets: a folder to fill, the outputs that it needs, and a log."""

    out: Path
    """An empty folder; it is renamed to the step's output when `build` returns."""
    needs: Mapping[str, Path]
    """The output folder of every needed step, by the step's name."""
    cache: Cache
    log: IO[bytes]
    interruption: Interruption = field(default_factory=Interruption)

    def run(
        self, argv: Sequence[str | Path], *, cwd: Path | None = None, **environment: str
    ) -> None:
        """Run a command with its output in the step's log; raise LabError when it fails."""
        words = [str(word) for word in argv]
        self.cache.temporary.mkdir(parents=True, exist_ok=True)
        self.log.write(f"$ {shlex.join(words)}\n".encode())
        self.log.flush()
        try:
            process = subprocess.Popen(
                words,
                cwd=cwd,
                env={**os.environ, "TMPDIR": str(self.cache.temporary), **environment},
                stdin=subprocess.DEVNULL,
                stdout=self.log,
                stderr=subprocess.STDOUT,
            )
        except OSError as error:
            raise LabError(f"{words[0]} cannot be run: {error}") from error
        with process, self.interruption.ends(process):
            code = process.wait()
        if self.interruption.asked.is_set():
            raise InterruptedError
        if code != 0:
            raise LabError(f"`{shlex.join(words)[:120]}` exited with {code}")
