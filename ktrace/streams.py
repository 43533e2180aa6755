"""Stdout and stderr, which may be closed, full, ASCII, or a pipe whose reader has left."""

from __future__ import annotations

import codecs
import errno
import io
import os
import select
import sys
from typing import TextIO

_OF_WRITING = {
    errno.EPIPE, errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF,
}  # fmt: skip


_ASCII = {
    "█": "#", "▒": "=", "░": ".", "▪": "-", "▸": ">", "─": "-", "│": "|", "├": "+", "└": "+",
    "…": "...", "→": "->", "≈": "~", "“": '"', "”": '"', "µ": "u",
}  # fmt: skip
"""What ktrace draws, where output has fewer characters. Any other one becomes ?."""


def prepare() -> None:
    """Makes both usable: what one that is closed would get is dropped."""
    codecs.register_error("ktrace", _in_ascii)
    # A file that is opened later would get the number of a closed one, and with it the output.
    sys.stdout = sys.stdout or _nowhere()
    sys.stderr = sys.stderr or _nowhere()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="ktrace")


def _in_ascii(error: UnicodeError) -> tuple[str, int]:
    """The handler of what an encoding does not have."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    missing = error.object[error.start : error.end]
    return "".join(_ASCII.get(character, "?") for character in missing), error.end


def tell(line: str) -> None:
    """One line of ktrace on stderr; none where stderr cannot be written."""
    write_error(f"ktrace: {line}")


def write_error(text: str) -> None:
    """``text`` on stderr, if that can be written: the exit code tells the rest."""
    try:
        print(text, file=sys.stderr, flush=True)
    except OSError:
        abandon(sys.stderr)


def is_of_stdout(error: OSError) -> bool:
    """Whether a print to stdout failed: files have names, and other errors other numbers.

    A connection or another program's pipe may be broken too, while stdout is not.
    """
    if error.filename is not None or error.errno not in _OF_WRITING:
        return False
    return error.errno != errno.EPIPE or _has_lost_its_reader(sys.stdout)


def _has_lost_its_reader(stream: TextIO) -> bool:
    poll = select.poll()
    poll.register(stream.fileno(), select.POLLOUT)
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))


def abandon(stream: TextIO) -> None:
    """What cannot be written now must not fail once more when the interpreter ends."""
    try:
        stream.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _nowhere() -> TextIO:
    return open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123  open until the end
