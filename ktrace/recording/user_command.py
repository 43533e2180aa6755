"""Runs the user's command as it would run without ktrace: on this terminal, with these signals."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import FrameType

from ktrace.errors import UsageError
from ktrace.text import clean

_FORWARDED = (signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True)
class Outcome:
    """``code`` of a signal is 128 and its number, as in a shell."""

    code: int
    terminated: bool
    """Whether ktrace itself received SIGTERM or SIGHUP."""


def run(command: Sequence[str], environment: Mapping[str, str]) -> Outcome:
    """Waits for the command, whose environment is this process's and ``environment``.

    Forwards SIGTERM and SIGHUP to it. Raises UsageError if it cannot be started.
    """
    received: list[int] = []
    child: subprocess.Popen[bytes] | None = None

    def forward(number: int, _: FrameType | None) -> None:
        received.append(number)
        if child:
            child.send_signal(number)

    # A terminal sends Ctrl-C to both processes, and only the command's reaction counts. A handler
    # and not SIG_IGN, which the command would inherit.
    previous = {signal.SIGINT: signal.signal(signal.SIGINT, lambda *_: None)}
    previous |= {number: signal.signal(number, forward) for number in _FORWARDED}
    try:
        child = subprocess.Popen(command, env={**os.environ, **environment})
        for number in received:  # before the child existed
            child.send_signal(number)
        code = child.wait()
    except OSError as error:
        raise UsageError(f"{clean(command[0])} cannot be run: {error.strerror}") from None
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    return Outcome(code if code >= 0 else 128 - code, bool(received))
