"""The lab's commands, which the Makefile runs on the system's Python.

What this module loads at its top needs the standard library alone. It makes .venv first and runs
the command again in it, where the project's packages are. `clean` and `stop` work without it.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import NoReturn

from lab.commands import clean, stop
from lab.errors import LabError, in_words
from lab.machine import venv
from lab.paths import Cache
from runtime_observability.host.runner import CommandError

OF_A_STACK = ("up", "down", "env", "setup")
TESTS = (
    "lint",
    "test-fast",
    "test",
    "test-versions",
    "test-stores",
    "test-examples",
    "soak",
    "contract",
    "stores",
    "bench",
    "false-alarms",
    "mutants",
)
IN_VENV = (*OF_A_STACK, "lab", "lock", "raise", *TESTS)
WITHOUT_VENV = {"stop": stop.run, "clean": clean.run}


def main(arguments: list[str]) -> int:
    """Run one command; return the exit code. An OSError becomes a LabError with its cure."""
    parser = argparse.ArgumentParser(prog="python3 -m lab", description=__doc__.splitlines()[0])
    parser.add_argument("command", choices=(*IN_VENV, *WITHOUT_VENV))
    parser.add_argument(
        "--stack",
        default=os.environ.get("STACK") or None,
        help="dev, lab or a stack of your own (default: $STACK, else the one that fits here)",
    )
    chosen = parser.parse_args(arguments)
    cache = Cache.of_this_user()
    try:
        if chosen.command in WITHOUT_VENV:
            return WITHOUT_VENV[chosen.command](cache)
        _enter_venv(chosen.command, cache, arguments)
        return _run(chosen.command, cache, chosen.stack)
    except OSError as error:
        raise LabError(in_words(error, cache)) from error


def _enter_venv(command: str, cache: Cache, arguments: list[str]) -> None:
    """Make .venv what the command needs, and become a process that runs in it."""
    needed = venv.TESTS if command in TESTS else venv.PROGRAM
    if command != "env":
        venv.make(cache, needed)
    elif not venv.is_current(needed):
        raise LabError(
            "not ready yet: .venv lacks packages. Run `make setup` first, which makes what is "
            "missing and starts no stack; `make up` does it too"
        )
    if Path(sys.prefix) != venv.VENV:
        sys.stdout.flush()
        os.execv(venv.PYTHON, [str(venv.PYTHON), "-m", "lab", *arguments])  # noqa: S606


def _run(command: str, cache: Cache, stack: str | None) -> int:
    # Only .venv has what these import.
    from lab.commands import build, checks, down, env, lock, raise_, setup, up  # noqa: PLC0415

    match command:
        case "up":
            return up.run(cache, stack)
        case "down":
            return down.run(cache, stack)
        case "env":
            return env.run(cache, stack)
        case "setup":
            return setup.run(cache, stack)
        case "lab":
            return build.run(cache)
        case "lock":
            return lock.run()
        case "raise":
            pin, version, module = (os.environ.get(n, "") for n in ("PIN", "VERSION", "MODULE"))
            return raise_.run(cache, pin, version, module)
        case tiers:
            return checks.run(tiers, cache)


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        sys.exit(main(sys.argv[1:]))
    except (LabError, CommandError) as error:
        sys.exit(f"\nerror: {error}")
    except KeyboardInterrupt:
        print("\nstopped; run the same command again to continue", file=sys.stderr)
        sys.exit(130)
