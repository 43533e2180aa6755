"""Ctrl-C, also where Python drops it.

The KeyboardInterrupt of a Ctrl-C that comes while the interpreter cleans an object up, such as a
pool of connections, is printed and forgotten, and the command would go on.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

_SECONDS = 0.02
"""Until the cleaning has ended."""


@contextmanager
def put_off() -> Iterator[None]:
    """A Ctrl-C in the block comes at its end; for the main thread."""
    came: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: came.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if came:
        raise KeyboardInterrupt


def prepare() -> None:
    """From now on a Ctrl-C that was dropped comes again."""
    sys.unraisablehook = _again


def _again(dropped: UnraisableHookArgs) -> None:
    if not issubclass(dropped.exc_type, KeyboardInterrupt):
        sys.__unraisablehook__(dropped)
        return
    main = threading.main_thread().ident  # a signal ends only the sleep of the thread that gets it
    timer = threading.Timer(_SECONDS, signal.pthread_kill, [main, signal.SIGINT])
    timer.daemon = True
    timer.start()
