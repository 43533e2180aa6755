"""Runs the pulumi command in this project."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from lab.paths import PROJECT
from lab.stacks.advice import explain

CANCELLED = 8
"""Pulumi's exit code after a Ctrl-C (pulumi v3.259.0 sdk/go/common/util/cmdutil/exit.go)."""


def run(arguments: list[str], stack: str) -> int:
    """Run a pulumi command with its output on the terminal; return its exit code.

    After a known error its cause and cure follow on stderr. Raises KeyboardInterrupt when the
    command failed after a signal, or after a Ctrl-C that its interactive display read as a key.
    """
    command = ["pulumi", *arguments]
    if arguments[0] != "stack":
        command += ["--stack", stack]
    output = b""
    forwarded: list[int] = []
    with (
        _forwarding_signals(forwarded) as forward_to,
        subprocess.Popen(
            command, cwd=PROJECT, stderr=subprocess.PIPE, start_new_session=True
        ) as process,
    ):
        forward_to(process)
        assert process.stderr is not None  # noqa: S101 - it is a pipe
        while chunk := os.read(process.stderr.fileno(), 4096):
            output += chunk
            sys.stderr.buffer.write(chunk)
            sys.stderr.flush()
    advice = explain(output.decode(errors="replace"), stack)
    if process.returncode and advice:
        print(f"\n{advice}", file=sys.stderr)
    if process.returncode == CANCELLED or (process.returncode and forwarded):
        raise KeyboardInterrupt
    return process.returncode


def selected_stack() -> str | None:
    """Return the stack that `pulumi stack select` chose, if any."""
    return _output("stack", "--show-name", "--non-interactive").strip() or None


def stack_names() -> set[str]:
    """Return the names of the project's stacks in the backend; none when Pulumi fails."""
    listed = _output("stack", "ls", "--json", "--non-interactive")
    return {entry["name"].rpartition("/")[2] for entry in json.loads(listed or "[]")}


def outputs(stack: str) -> dict[str, Any]:
    """Return a stack's outputs; none when Pulumi fails."""
    document: dict[str, Any] = json.loads(
        _output("stack", "output", "--json", "--stack", stack) or "{}"
    )
    return document


def has_interrupted_creates(stack: str) -> bool:
    """Whether the state has creates that a killed run has begun; False when Pulumi fails."""
    exported = json.loads(_output("stack", "export", "--stack", stack) or "{}")
    pending = (exported.get("deployment") or {}).get("pending_operations") or ()
    return any(operation.get("type") == "creating" for operation in pending)


def _output(*arguments: str) -> str:
    """Return what a pulumi command prints on stdout; nothing when it fails."""
    command = ["pulumi", *arguments]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else ""


@contextmanager
def _forwarding_signals(
    forwarded: list[int],
) -> Iterator[Callable[[subprocess.Popen[bytes]], None]]:
    """Send a Ctrl-C to Pulumi alone; a terminal would send it to its program and plugins too.

    Pulumi then ends these in order, and after a second one at once. Signals are added to
    `forwarded`. Yields a function that names the process: one that comes before reaches it, too.
    """
    processes: list[subprocess.Popen[bytes]] = []

    def forward(number: int, frame: FrameType | None) -> None:
        forwarded.append(number)
        for process in processes:
            process.send_signal(signal.SIGINT)

    def forward_to(process: subprocess.Popen[bytes]) -> None:
        processes.append(process)
        if forwarded:
            process.send_signal(signal.SIGINT)

    ends = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, forward) for number in ends}
    try:
        yield forward_to
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
