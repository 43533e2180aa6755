"""The one way to run an external command: an argv list, a deadline, and all it said."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parent / "scripts"
"""The deletes, as Pulumi's state holds them too: POSIX sh that needs docker and rm."""


class CommandError(Exception):
    """A command that could not be started, ran out of time or failed; says which and why."""


@dataclass(frozen=True)
class Result:
    """What a finished command left: its exit code and its two outputs, as text."""

    argv: tuple[str, ...]
    code: int
    stdout: str
    stderr: str

    def checked(self) -> str:
        """The standard output; CommandError, with what the command said, if it failed."""
        if self.code:
            said = (self.stderr or self.stdout).strip() or "it said nothing"
            raise CommandError(f"`{shlex.join(self.argv)}` exited with {self.code}: {said}")
        return self.stdout


def run(
    argv: Sequence[str],
    *,
    stdin: str | None = None,
    timeout: float = 30,
    environment: Mapping[str, str] | None = None,
) -> Result:
    """Runs ``argv`` to its end, ``timeout`` in seconds; ``environment`` replaces the process's own.

    Raises CommandError when the program is not there or the time is up, not for an exit code.
    """
    try:
        done = subprocess.run(
            argv,
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            timeout=timeout,
            env=dict(os.environ if environment is None else environment),
            check=False,
        )
    except FileNotFoundError:
        raise CommandError(f"`{argv[0]}` is not on PATH: install it, or run `make up`") from None
    except subprocess.TimeoutExpired:
        raise CommandError(f"`{shlex.join(argv)}` gave no answer within {timeout:g} s") from None
    return Result(tuple(argv), done.returncode, done.stdout, done.stderr)


def run_script(name: str, values: Mapping[str, str], *, timeout: float = 120) -> Result:
    """Runs one of the deletes in ``SCRIPTS``, with ``values`` in its environment."""
    return run(["sh", str(SCRIPTS / name)], timeout=timeout, environment=os.environ | values)
