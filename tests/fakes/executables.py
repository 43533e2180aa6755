"""Programs on PATH whose results a test decides.

Each program is a few lines of sh that send its arguments through a named pipe and wait for the
result. A call takes a few milliseconds; starting a Python interpreter for each would take minutes
in total.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

_END = "\x1e\n"
"""The last argument of a call: other arguments may be several lines."""
_CLIENT = """#!/bin/sh
cd '{folder}'
mkfifo $$.reply
: >$$.in
case " $* " in *" - "*) cat >$$.in ;; esac
printf '%s\\037' $$ {name} "$@" '{end}' >requests
read -r code <$$.reply
cat $$.out
cat $$.err >&2
exit "$code"
"""


@dataclass(frozen=True)
class Call:
    """The arguments of one call, and its standard input if one of the arguments is ``-``.

    What is not UTF-8 in it is escaped with surrogates.
    """

    argv: tuple[str, ...]
    stdin: str = ""


@dataclass(frozen=True)
class Answer:
    """The result of one call; a surrogate in its output is a byte that is not UTF-8."""

    stdout: str = ""
    stderr: str = ""
    code: int = 0


class Executables:
    """Programs called ``names``, whose results ``answer`` returns; ``calls`` records every call.

    Calls are answered one at a time.
    """

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
            self.script(name, _CLIENT.format(folder=folder, name=name, end=_END))
        # Opened for reading and writing, so that there is no end of file when a client closes it.
        self._requests = os.open(folder / "requests", os.O_RDWR)
        self._server = threading.Thread(target=self._serve, daemon=True)
        self._server.start()

    @property
    def path(self) -> str:
        """PATH that starts with the folder of these programs."""
        return f"{self.bin}{os.pathsep}{os.environ['PATH']}"

    def script(self, name: str, text: str) -> None:
        """Adds a program with its own ``text`` instead of an answer."""
        path = self.bin / name
        path.write_text(text)
        path.chmod(0o755)

    def stop(self) -> None:
        os.write(self._requests, f"stop\x1f{_END}\x1f".encode())
        self._server.join()
        os.close(self._requests)

    def _serve(self) -> None:
        with open(self._requests, closefd=False, newline="\n") as requests:
            request = ""
            for line in requests:
                request += line
                if not request.endswith(f"\x1f{_END}"):
                    continue
                process, *argv, _ = request.removeprefix("\x1f").split("\x1f")
                request = ""
                if process == "stop":
                    return
                self._reply(process, tuple(argv))

    def _reply(self, process: str, argv: tuple[str, ...]) -> None:
        stdin = (self._folder / f"{process}.in").read_bytes()
        call = Call(argv, stdin.decode(errors="surrogateescape"))
        self.calls.append(call)
        try:
            answer = self._answer(call)
        except Exception as error:
            # The test must see a failed program; without a reply the program would hang.
            answer = Answer(stderr=f"the fake {argv[0]} failed: {error!r}", code=64)
        for kind, output in (("out", answer.stdout), ("err", answer.stderr)):
            (self._folder / f"{process}.{kind}").write_text(output, errors="surrogateescape")
        reply = self._folder / f"{process}.reply"
        reply.write_text(f"{answer.code}\n")
        reply.unlink()
