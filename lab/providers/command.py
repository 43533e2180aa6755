"""The type command:local:Command."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import IO, ClassVar

from lab.providers import VERSIONS, properties
from lab.providers.properties import Changes, Field
from lab.providers.server import Call, Configuration, ProviderError, Resource, Servicer
from lab.providers.wire import UNKNOWN, Properties

# command util/util.go LogOutput: bufio.Scanner stops at a longer line, after which nothing drains
# the pipe: the real plugin hangs. The stand-in fails with the reason.
LONGEST_LOGGED_LINE = 64 * 1024
POLL_SECONDS = 0.02
_LOGS_STDERR = ("stderr", "stdoutAndStderr")

# The inputs of command local/base.go and common/inputs.go that the program uses.
COMMAND = {
    "create": Field(str),
    "delete": Field(str),
    "triggers": Field(list),
    "stdin": Field(str),
    "logging": Field(str),
    "dir": Field(str),
    "environment": Field(dict),
    "addPreviousOutputInEnv": Field(bool, required=True, only=False),
}


class Command(Resource):
    """A command on the machine that runs the engine (command local/commandController.go)."""

    covers: ClassVar[str] = "command:local:Command"

    def check(self, inputs: Properties) -> Iterator[tuple[str, str]]:
        return properties.check(COMMAND, inputs)

    def diff(self, state: Properties, old: Properties, new: Properties) -> Changes:
        """Compare old with new inputs (infer, diff), `delete` and `logging` included.

        Only a change of `triggers` as a whole replaces. A change of one element is an update here;
        the engine replaces because of the SDK's replace_on_changes=["triggers[*]"].
        """
        changes = properties.exact_diff(old, new)
        return {path: (change, path == "triggers") for path, change in changes.items()}

    def planned(self, state: Properties, inputs: Properties) -> Properties:
        return {**inputs, "stdout": UNKNOWN, "stderr": UNKNOWN}

    def create(self, call: Call, inputs: Properties) -> tuple[str, Properties]:
        return f"{call.name}{secrets.token_hex(4)}", self._run(call, "create", inputs)

    def update(
        self, call: Call, identity: str, state: Properties, inputs: Properties
    ) -> Properties:
        return self._run(call, "create", inputs)

    def delete(self, call: Call, identity: str, state: Properties) -> None:
        self._run(call, "delete", state)

    @staticmethod
    def _run(call: Call, which: str, inputs: Properties) -> Properties:
        out, err = run(call, inputs[which], inputs) if which in inputs else ("", "")
        return {**inputs, "stdout": out, "stderr": err}


def run(call: Call, command: str, inputs: Properties) -> tuple[str, str]:
    """Run `command`; return its output and error output (command local/commandOutputs.go).

    Cancellation and the resource's timeout send SIGKILL to the direct child alone; a grandchild
    keeps running, and is waited for as long as it holds the output open.
    """
    logging = inputs.get("logging", "stdoutAndStderr")
    try:
        process = subprocess.Popen(
            ["/bin/sh", "-c", command],
            cwd=inputs.get("dir"),
            env={**os.environ, **inputs.get("environment", {})},
            stdin=subprocess.PIPE if inputs.get("stdin") else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
    except OSError as error:
        raise ProviderError(f"{error}: running {_quoted(command)}:\n") from error
    both = bytearray()
    stdout = _Pipe(process.stdout, both, call.log if logging.startswith("stdout") else None)
    stderr = _Pipe(process.stderr, both, call.log if logging in _LOGS_STDERR else None)
    threads = [
        threading.Thread(target=stdout.drain),
        threading.Thread(target=stderr.drain),
        threading.Thread(target=_feed, args=(process.stdin, inputs.get("stdin", ""))),
    ]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + call.seconds if call.seconds else float("inf")
    while process.poll() is None:
        if call.cancelled.wait(POLL_SECONDS) or time.monotonic() > deadline:
            process.kill()
            process.wait()
    for thread in threads:
        thread.join()
    if process.returncode:
        raise ProviderError(
            f"{_ending(process.returncode)}: running {_quoted(command)}:\n"
            + both.decode(errors="replace")
        )
    if stdout.too_long or stderr.too_long:
        raise ProviderError(
            f"a logged line of output is longer than {LONGEST_LOGGED_LINE} bytes, at which the real"
            ' command plugin hangs; set logging="none" or "stderr"'
        )
    return stdout.result, stderr.result


@dataclass
class _Pipe:
    """Collects one output stream of a process, and logs its lines as they arrive."""

    source: IO[bytes] | None
    both: bytearray
    log: Callable[[str], None] | None
    text: bytearray = field(default_factory=bytearray)
    too_long: bool = False

    @property
    def result(self) -> str:
        """The whole stream without one newline at its end."""
        return self.text.decode(errors="replace").removesuffix("\n")

    def drain(self) -> None:
        for line in self.source or ():
            self.text += line
            self.both += line
            if self.log:
                self.too_long |= len(line) > LONGEST_LOGGED_LINE
                self.log(line.decode(errors="replace").rstrip("\r\n"))


def _feed(target: IO[bytes] | None, text: str) -> None:
    if target:
        try:
            target.write(text.encode())
            target.close()
        except BrokenPipeError:
            pass  # a process need not read all of its input


def _ending(code: int) -> str:
    """Describe an exit code as Go's exec.ExitError does."""
    if code > 0:
        return f"exit status {code}"
    return f"signal: {(signal.strsignal(-code) or str(-code)).lower()}"


def _quoted(command: str) -> str:
    return json.dumps(command, ensure_ascii=False)


def make(engine: str | None) -> Servicer:
    """Return the plugin, which has no configuration of its own."""
    return Servicer(
        VERSIONS["command"],
        [Command()],
        Configuration({}, effective=dict, use=lambda _config: None),
        engine,
    )
