"""The parts of a tier: commands that run side by side on one terminal."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Thread
from typing import IO

from lab.paths import PROJECT

Command = Sequence[str | Path]


def run(commands: Sequence[Command], variables: Mapping[str, str]) -> bool:
    """Run the commands in the project's folder; return whether all exited with 0.

    Of several, each line that one prints begins with its number. After a Ctrl-C, which the
    terminal sends to all of them, their ends are waited for: tests destroy their stacks.
    """
    environ = {**os.environ, **variables, "PYTHONUNBUFFERED": "1"}
    output = subprocess.PIPE if len(commands) > 1 else None
    # Not subprocess.run: after a Ctrl-C it would kill them.
    processes = [
        subprocess.Popen(
            command,
            cwd=PROJECT,
            env=environ,
            stdout=output,
            stderr=output and subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        for command in commands
    ]
    readers = [
        Thread(target=_show, args=(process.stdout, f"{number}| "))
        for number, process in enumerate(processes, 1)
        if process.stdout
    ]
    for reader in readers:
        reader.start()
    try:
        _wait(processes)
    finally:
        _wait(processes)
        for reader in readers:
            reader.join()
    return all(process.returncode == 0 for process in processes)


def _show(output: IO[str], prefix: str) -> None:
    for line in output:
        # In one piece, as the others print meanwhile: print() would write the line's end after it.
        print(f"{prefix}{line.rstrip()}\n", end="", flush=True)


def _wait(processes: Sequence[subprocess.Popen[str]]) -> None:
    """Not for their readers: Python 3.11 takes a thread for ended whose join was interrupted."""
    for process in processes:
        process.wait()
