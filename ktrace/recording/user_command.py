"""Runs a command as it would run without ktrace: with this terminal, and with the same signals."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import FrameType

from ktrace.errors import UsageError

_PASSED_ON = (signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True)
class Ended:
    """``code`` as a shell has it for a signal; ``told_to``: ktrace was told to end as well."""

    code: int
    told_to: bool


def run(command: Sequence[str], environment: Mapping[str, str]) -> Ended:
    told: list[int] = []
    running: list[subprocess.Popen[bytes]] = []

    def pass_on(number: int, _: FrameType | None) -> None:
        told.append(number)
        for each in running:
            each.send_signal(number)

    # A terminal's Ctrl-C goes to both: the command's answer to it counts. A handler, unlike
    # "ignore", is not inherited.
    before = {signal.SIGINT: signal.signal(signal.SIGINT, lambda *_: None)}
    before |= {each: signal.signal(each, pass_on) for each in _PASSED_ON}
    try:
        child = subprocess.Popen(command, env={**os.environ, **environment})
        running.append(child)
        for number in told:  # before there was a child
            child.send_signal(number)
        code = child.wait()
    except OSError as error:
        raise UsageError(f"{command[0]} cannot be run: {error.strerror}") from None
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
    return Ended(code if code >= 0 else 128 - code, bool(told))
