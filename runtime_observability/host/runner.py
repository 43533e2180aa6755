"""The one way to run an external command: an argv list, a timeout and the complete output."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parent / "scripts"
"""The delete scripts, which Pulumi's state also contains: POSIX sh that needs docker and rm."""

variables: dict[str, str] = {}
"""Added to the environment of every command: which daemon docker and k3d use (``daemon.use``)."""


class CommandError(Exception):
    """A command was not found, timed out or failed; the message names it and the reason."""


@dataclass(frozen=True)
class Result:
    """A finished command: its exit code, standard output and standard error."""

    argv: tuple[str, ...]
    code: int
    stdout: str
    stderr: str

    def checked(self) -> str:
        """The standard output; raises CommandError, with the command's output, if it failed."""
        if self.code:
            output = (self.stderr or self.stdout).strip() or "no output"
            raise CommandError(f"`{shlex.join(self.argv)}` exited with {self.code}: {output}")
        return self.stdout


def run(
    argv: Sequence[str],
    *,
    stdin: str | None = None,
    timeout: float = 30,
    environment: Mapping[str, str] | None = None,
) -> Result:
    """Runs ``argv`` and waits until it ends, at most ``timeout`` seconds.

    ``environment`` replaces the process's own and ``variables``. Raises CommandError when the
    program is not on PATH or the time is up; a failed command is a Result with its exit code.
    """
    try:
        finished = subprocess.run(
            argv,
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            timeout=timeout,
            env=os.environ | variables if environment is None else dict(environment),
            check=False,
        )
    except FileNotFoundError:
        raise CommandError(f"`{argv[0]}` is not on PATH: install it, or run `make up`") from None
    except subprocess.TimeoutExpired:
        raise CommandError(f"`{shlex.join(argv)}` did not finish within {timeout:g} s") from None
    return Result(tuple(argv), finished.returncode, finished.stdout, finished.stderr)


def run_script(name: str, values: Mapping[str, str], *, timeout: float = 120) -> Result:
    """Runs the delete script ``name`` with ``values`` added to the environment."""
    environment = os.environ | variables | dict(values)
    return run(["sh", str(SCRIPTS / name)], timeout=timeout, environment=environment)
