"""``ktrace`` in this process: an interpreter for each command would take a minute in total."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from typing import Any

import pytest

from ktrace.cli import main


@dataclass(frozen=True)
class Done:
    """How a command ended, and what it printed."""

    returncode: int
    stdout: str
    stderr: str

    @property
    def lines(self) -> list[str]:
        """Lines of stdout."""
        return self.stdout.splitlines()

    @property
    def document(self) -> Any:
        """What --json printed."""
        return json.loads(self.stdout)


class Ktrace:
    """Called with a command's arguments, it runs the command."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch = monkeypatch
        self._capfd = capfd

    def __call__(self, *arguments: str) -> Done:
        self._monkeypatch.setattr(sys, "argv", ["ktrace", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        said = self._capfd.readouterr()
        filled = [line for line in f"{said.out}\n{said.err}".split("\n") if line.endswith(" ")]
        assert not filled, "in a pipe no line ends in blanks"
        return Done(int(ended.value.code or 0), said.out, said.err)
