"""The one way to run an external command: an argv list, a timeout and the complete output."""

from __future__ import annotations

import errno
import os
import re
import shlex
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parent / "scripts"
"""The delete scripts, which Pulumi's state also contains: POSIX sh that needs docker and rm."""
FUNCTIONS = "functions.sh"
"""The script that stands before others and has what they share."""

variables: dict[str, str] = {}
"""Added to the environment of every command: which daemon docker and k3d use (``daemon.use``)."""


CONTENT_TRUST = "DOCKER_CONTENT_TRUST"
"""The docker command's variable for signed images."""
_LAST_OUTPUT_SECONDS = 5
"""For the output of a command that has ended, but whose own child still holds its output open."""


def surroundings() -> dict[str, str]:
    """The environment of a command: this process's own with ``variables``.

    Without what chooses images for the docker command alone: k3d and Pulumi's provider take an
    image as it is there. It would find none of another platform, and none that is not signed.
    """
    return {**os.environ, **variables, "DOCKER_DEFAULT_PLATFORM": "", CONTENT_TRUST: ""}


def surroundings_of_a_pull() -> dict[str, str]:
    """The same where the user may want signed images alone."""
    return surroundings() | {CONTENT_TRUST: os.environ.get(CONTENT_TRUST, "")}


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
            raise CommandError(f"`{_shown(self.argv)}` exited with {self.code}: {output}")
        return self.stdout


def run(
    argv: Sequence[str],
    *,
    stdin: str | None = None,
    timeout: float = 30,
    environment: Mapping[str, str] | None = None,
) -> Result:
    """Runs ``argv`` and waits until it ends, at most ``timeout`` seconds.

    ``environment`` replaces ``surroundings``. Output is read as UTF-8, and what
    is not UTF-8 becomes U+FFFD. Raises CommandError when the program cannot be run or the time is
    up; a failed command is a Result with its exit code.
    """
    try:
        finished = subprocess.run(
            argv,
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=timeout,
            env=surroundings() if environment is None else dict(environment),
            check=False,
        )
    except OSError as error:
        raise _not_run(argv[0], error) from None
    except subprocess.TimeoutExpired:
        raise _not_finished(argv, timeout) from None
    return Result(tuple(argv), finished.returncode, finished.stdout, finished.stderr)


def follow(
    argv: Sequence[str],
    report: Callable[[str], None],
    *,
    stdin: bytes,
    timeout: float,
    environment: Mapping[str, str] | None = None,
) -> Result:
    """As ``run``, and ``report`` takes each line of the output when it comes.

    ``stdin`` goes through a pipe: a program in a snap may not read a file of /tmp that is opened
    for it. Standard output and standard error are one text, the Result's ``stdout``.
    """
    lines: list[str] = []
    try:
        child = subprocess.Popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=surroundings() if environment is None else dict(environment),
        )
    except OSError as error:
        raise _not_run(argv[0], error) from None

    def write() -> None:
        with suppress(OSError), child.stdin as pipe:  # type: ignore[union-attr]
            pipe.write(stdin)

    def read() -> None:
        for line in child.stdout or ():
            lines.append(line.decode(errors="replace"))
            report(lines[-1].rstrip())

    reader = threading.Thread(target=read, daemon=True)
    threading.Thread(target=write, daemon=True).start()
    reader.start()
    try:
        code = child.wait(timeout)
    except subprocess.TimeoutExpired:
        raise _not_finished(argv, timeout) from None
    finally:
        child.kill()
        child.wait()
        reader.join(_LAST_OUTPUT_SECONDS)
    return Result(tuple(argv), code, "".join(lines), "")


def _not_run(program: str, error: OSError) -> CommandError:
    if isinstance(error, FileNotFoundError):
        return CommandError(f"`{program}` is not on PATH: install it, or run `make up`")
    cures = {
        errno.ENOEXEC: "It is damaged or for another machine: install the one for `uname -m`",
        errno.EACCES: "Make it executable, or install it again",
    }
    told = f"`{program}` cannot be run: {error.strerror or error}"
    cure = cures.get(error.errno or 0)
    return CommandError(f"{told}. {cure}" if cure else told)


def _shown(argv: Sequence[str]) -> str:
    """The command in one line: of a script it has the name, which follows the text."""
    return " ".join("…" if "\n" in argument else shlex.quote(argument) for argument in argv)


def _not_finished(argv: Sequence[str], seconds: float) -> CommandError:
    return CommandError(f"`{_shown(argv)}` did not finish within {seconds:g} s")


def script(name: str) -> str:
    """The text of the delete script ``name``, with LF line ends whatever the checkout has."""
    return (SCRIPTS / name).read_text(encoding="utf-8")


def unset(text: str) -> dict[str, str]:
    """Empty, each variable that the script ``text`` does without (``${NAME:-}``): the user's shell
    may have one of its name, and it would count as a value of this project's."""
    return dict.fromkeys(re.findall(r"\$\{(\w+):-\}", text), "")


def run_script(name: str, values: Mapping[str, str], *, timeout: float = 120) -> Result:
    """Runs the delete script ``name`` with ``values`` added to the environment."""
    text = script(FUNCTIONS) + script(name)
    environment = surroundings() | unset(text) | dict(values)
    return run(["sh", "-c", text, name], timeout=timeout, environment=environment)
