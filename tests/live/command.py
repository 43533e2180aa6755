"""A ``pulumi`` command, run where it can be watched and ended."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Run:
    """A finished ``pulumi`` command and its output."""

    argv: tuple[str, ...]
    code: int
    stdout: str
    stderr: str

    @property
    def said(self) -> str:
        return self.stdout + self.stderr

    def succeeded(self) -> Run:
        if self.code:
            raise AssertionError(f"{' '.join(self.argv)} exited with {self.code}:\n{self.said}")
        return self

    def failed(self) -> Run:
        if not self.code:
            raise AssertionError(f"{' '.join(self.argv)} succeeded and must not:\n{self.said}")
        return self


class Running:
    """A running ``pulumi`` command, in one session with every process that it starts.

    Its output goes to files: a provider or a k3d that outlives a killed engine would keep a pipe
    open.
    """

    def __init__(self, argv: list[str], folder: Path, env: Mapping[str, str], logs: Path) -> None:
        self.argv = tuple(argv)
        logs.mkdir(exist_ok=True)
        self._stem = logs / f"{len(list(logs.glob('*.out'))):03}"
        with (
            self._stem.with_suffix(".out").open("w") as out,
            self._stem.with_suffix(".err").open("w") as err,
        ):
            self._process = subprocess.Popen(
                argv,
                cwd=folder,
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )

    @property
    def session(self) -> int:
        return self._process.pid

    def ended(self) -> bool:
        return self._process.poll() is not None

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal to the engine's process group, as a terminal does on Ctrl-C."""
        os.killpg(self.session, number)

    def wait(self, seconds: float) -> Run:
        try:
            code = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.signal(signal.SIGKILL)
            self._process.wait()
            raise AssertionError(
                f"{' '.join(self.argv)} took over {seconds:g} s:\n{self._said('.out')}"
                f"{self._said('.err')}"
            ) from None
        return Run(self.argv, code, self._said(".out"), self._said(".err"))

    def _said(self, suffix: str) -> str:
        return self._stem.with_suffix(suffix).read_text(errors="replace")
