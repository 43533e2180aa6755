"""Programs on PATH that a test answers for.

Each is a few lines of sh that hand their arguments over through a named pipe and wait for the
answer: a call costs some milliseconds, where starting an interpreter for each would cost minutes.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

_CLIENT = """#!/bin/sh
cd '{folder}'
mkfifo $$.reply
: >$$.in
case " $* " in *" - "*) cat >$$.in ;; esac
printf '%s\\037' $$ {name} "$@" '
' >requests
read -r code <$$.reply
cat $$.out
cat $$.err >&2
exit "$code"
"""


@dataclass(frozen=True)
class Call:
    """What a program was started with; ``stdin`` is read when an argument is ``-``."""

    argv: tuple[str, ...]
    stdin: str = ""


@dataclass(frozen=True)
class Answer:
    stdout: str = ""
    stderr: str = ""
    code: int = 0


class Executables:
    """``answer`` is asked for every call of one of ``names``, one at a time; calls are kept."""

    def __init__(
        self, folder: Path, names: tuple[str, ...], answer: Callable[[Call], Answer]
    ) -> None:
        self.calls: list[Call] = []
        self.bin = folder / "bin"
        self._folder = folder
        self._answer = answer
        self.bin.mkdir(parents=True)
        os.mkfifo(folder / "requests")
        for name in names:
            self.script(name, _CLIENT.format(folder=folder, name=name))
        # Opened for reading and writing, so that the last client's end is no end of file.
        self._requests = os.open(folder / "requests", os.O_RDWR)
        self._server = threading.Thread(target=self._serve, daemon=True)
        self._server.start()

    @property
    def path(self) -> str:
        """PATH with these programs first."""
        return f"{self.bin}{os.pathsep}{os.environ['PATH']}"

    def script(self, name: str, text: str) -> None:
        """A program of its own text."""
        path = self.bin / name
        path.write_text(text)
        path.chmod(0o755)

    def stop(self) -> None:
        os.write(self._requests, b"stop\x1f\n\x1f")
        self._server.join()
        os.close(self._requests)

    def _serve(self) -> None:
        with open(self._requests, closefd=False, newline="\n") as requests:
            for line in requests:
                process, *argv, _ = line.removeprefix("\x1f").split("\x1f")
                if process == "stop":
                    return
                self._reply(process, tuple(argv))

    def _reply(self, process: str, argv: tuple[str, ...]) -> None:
        call = Call(argv, (self._folder / f"{process}.in").read_text())
        self.calls.append(call)
        try:
            answer = self._answer(call)
        except Exception as error:
            # It must reach the test as a failure of the program, not as silence.
            answer = Answer(stderr=f"the fake {argv[0]} failed: {error!r}", code=64)
        (self._folder / f"{process}.out").write_text(answer.stdout)
        (self._folder / f"{process}.err").write_text(answer.stderr)
        reply = self._folder / f"{process}.reply"
        reply.write_text(f"{answer.code}\n")
        reply.unlink()
