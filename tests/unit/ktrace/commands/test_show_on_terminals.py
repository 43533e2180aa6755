"""What ``ktrace show`` prints on a narrow terminal and in a pipe, with colours and without."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Callable
from typing import Any

import pytest

from ktrace.brief import brief
from tests.configuration import PROJECT
from tests.fakes import recorded
from tests.fakes.http import FakeServer
from tests.fakes.jaeger import served

ESCAPE = re.compile(r"\x1b\[[0-9;]*m")
COLOUR = re.compile(r"\x1b\[(?:[0-9]+;)*(?:3|4|9|10)[0-7](?:;[0-9]+)*m")

Show = Callable[..., str]


@pytest.fixture(params=["no-image", "with-init"])
def show(request: pytest.FixtureRequest, server: FakeServer) -> Show:
    """Runs the command in a process of its own; ``columns`` are those of its terminal, if any."""
    pod = request.param
    server.answer = served(recorded.handler(pod))

    def run(*options: str, columns: int | None = None, **variables: str) -> str:
        command = [sys.executable, "-m", "ktrace", "show", pod, "--timeout", "0", *options]
        environment = {
            name: value
            for name, value in os.environ.items()
            if name not in ("COLUMNS", "FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE")
        }
        return _output(
            [*command, "--jaeger", server.url],
            {**environment, "TERM": "xterm-256color", **variables},
            columns,
        )

    return run


def _output(command: list[str], environment: dict[str, str], columns: int | None) -> str:
    """What ``command``, which ends with 1, prints on its terminal, or in a pipe."""
    reader, writer = os.pipe() if columns is None else pty.openpty()
    if columns is not None:
        fcntl.ioctl(writer, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    with subprocess.Popen(command, cwd=PROJECT, env=environment, stdout=writer) as process:
        os.close(writer)
        text = b"".join(iter(lambda: _read(reader), b"")).decode()
    os.close(reader)
    assert process.returncode == 1
    return text.replace("\r\n", "\n")


def _read(reader: int) -> bytes:
    try:
        return os.read(reader, 65536)
    except OSError:  # a terminal that its last process has left
        return b""


def squeezed(text: str) -> str:
    """Without blanks and line breaks: a name that fills several lines is one word again."""
    return "".join(text.split())


def names(show: Show) -> list[str]:
    """The steps', as text has them."""
    document: Any = json.loads(show("--json"))
    return [brief(step["name"]) for step in document["steps"]]


def test_sixty_columns_hold_every_step_with_its_mark(show: Show) -> None:
    printed = ESCAPE.sub("", show(columns=60))
    lines = [line for line in printed.splitlines() if not line.startswith("http")]
    assert max(map(len, lines)) <= 60
    assert "█" not in printed, "bars would leave no room for names"
    assert printed.count("* ") == ESCAPE.sub("", show()).count("* ")
    text = squeezed(printed)
    for name in names(show):
        assert squeezed(name) in text


def test_a_link_is_one_line_for_a_terminal_of_any_width(show: Show) -> None:
    links = [line for line in show(columns=60).splitlines() if line.startswith("http")]
    assert links == json.loads(show("--json"))["traceUrls"]


def test_a_pipe_has_one_line_for_each_step_and_no_escape(show: Show) -> None:
    printed = show()
    assert "\x1b" not in printed
    lines = printed.splitlines()
    for name in names(show):
        assert any(line.rstrip().endswith((name, f"{name}  FAILED")) for line in lines)


def test_colours_are_forced_in_a_pipe_and_change_no_text(show: Show) -> None:
    forced = show(FORCE_COLOR="1")
    assert COLOUR.search(forced)
    assert ESCAPE.sub("", forced) == show()
    assert show(FORCE_COLOR="1", NO_COLOR="1") == show()


def test_a_terminal_has_colours_unless_they_are_unwanted(show: Show) -> None:
    coloured, plain = show(columns=120), show(columns=120, NO_COLOR="1")
    assert COLOUR.search(coloured)
    assert not COLOUR.search(plain)
    assert ESCAPE.sub("", coloured) == ESCAPE.sub("", plain)
