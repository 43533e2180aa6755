"""Runs ``ktrace`` as a user does in the project of a stack."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, Any

from tests.live.pods import PULL_SECONDS
from tests.live.stack import Stack
from tests.live.waiting import until
from tests.schemas import validate

Start = dict[str, Any]
"""What ``ktrace show --json`` prints."""


def ktrace(
    stack: Stack, *arguments: str, stdin: str = "", seconds: float = 120
) -> subprocess.CompletedProcess[str]:
    """The finished command, whatever its exit code."""
    return subprocess.run(
        [str(stack.folder / ".venv/bin/python"), "-m", "ktrace", *arguments],
        cwd=stack.folder,
        env={**stack.environment, "PATH": stack.environment.get("PATH", os.defpath)},
        input=stdin,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


@contextmanager
def running(
    stack: Stack, *arguments: str, stdout: IO[str] | None = None
) -> Iterator[subprocess.Popen[str]]:
    """The command while the block runs, in which Ctrl-C can be sent to it.

    What a script starts in the background ignores that, and what it starts too.
    """
    ktrace = [str(stack.folder / ".venv/bin/python"), "-m", "ktrace", *arguments]
    with subprocess.Popen(
        ["env", "--default-signal=INT", *ktrace, "--stack", stack.name],
        cwd=stack.folder,
        env={**stack.environment, "PATH": stack.environment.get("PATH", os.defpath)},
        stdout=stdout or subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def document(stack: Stack, *arguments: str, code: int = 0) -> dict[str, Any]:
    """The command's output with --json, which its schema describes; fails unless its exit code is
    ``code``."""
    done = ktrace(stack, *arguments, "--json", "--stack", stack.name)
    assert done.returncode == code, done.stdout + done.stderr
    return _valid(done.stdout, *arguments)


def _valid(stdout: str, command: str, *arguments: str) -> dict[str, Any]:
    """What ``command`` printed, after a look whether its schema describes it."""
    output: dict[str, Any] = json.loads(stdout)
    schema = command
    if "error" in output:
        schema = "error"
    elif command == "show" and "--ending" in arguments:
        schema = "ending"
    elif command == "show" and "steps" not in output:
        schema = "rollout"
    validate(schema, output)
    return output


def show(stack: Stack, pod: str) -> Start:
    """What is known of the start now, complete or not."""
    done = ktrace(stack, "show", pod, "--json", "--timeout", "0", "--stack", stack.name)
    assert done.returncode in (0, 1), done.stderr
    start: Start = _valid(done.stdout, "show", pod)
    assert (done.returncode == 0) is start.get("complete", False)
    return start


def shown(stack: Stack, pod: str, holds: Callable[[Start], bool]) -> Start:
    """The start, once what the test waits for is there; else a failure with the last answer."""
    last: Start = {}

    def look() -> bool:
        last.clear()
        last.update(show(stack, pod))
        return "steps" in last and holds(last)

    try:
        until(f"that of {pod}", look, PULL_SECONDS, every=1)
    except AssertionError as error:
        raise AssertionError(f"{error}; last answer: {json.dumps(last)}") from None
    return last


def of_spans(start: Start) -> tuple[object, ...]:
    """What is the same in every answer about the same start."""
    return start["uid"], start["startedAt"], start["durationMs"], start["steps"]


def waiting(start: Start) -> str:
    return "; ".join(entry["what"] for entry in start["waitingFor"])


def complete(start: Start) -> bool:
    return bool(start["complete"])


def all_there(start: Start) -> bool:
    """Complete and with all of its spans: a container may end before they have arrived."""
    return complete(start) and not start["missing"] and not start["spansWithoutParent"]


def whole(start: Start) -> bool:
    """Complete, Ready and with all of its spans."""
    return all_there(start) and bool(start["ready"]["afterMs"])
