"""The lab's commands, which the Makefile runs on the system's Python."""

from __future__ import annotations

import argparse
import signal
import sys
from types import FrameType
from typing import NoReturn

from lab.commands import build, checks, clean, down, env, stop, up
from lab.errors import LabError, in_words
from lab.paths import Cache
from runtime_observability.host.runner import CommandError


def main(arguments: list[str]) -> int:
    """Run one command; return the exit code. An OSError becomes a LabError with its cure."""
    parser = argparse.ArgumentParser(prog="python3 -m lab", description=__doc__)
    parser.add_argument(
        "command",
        choices=("up", "down", "env", *checks.TIERS, "lab", "stop", "clean"),
    )
    parser.add_argument(
        "--stack", help="dev, lab or a stack of your own (default: the one that fits this machine)"
    )
    chosen = parser.parse_args(arguments)
    cache = Cache.of_this_user()
    try:
        return _run(chosen.command, cache, chosen.stack)
    except OSError as error:
        raise LabError(in_words(error, cache)) from error


def _run(command: str, cache: Cache, stack: str | None) -> int:
    match command:
        case "up":
            return up.run(cache, stack)
        case "down":
            return down.run(cache, stack)
        case "env":
            return env.run(cache, stack)
        case "lab":
            return build.run(cache)
        case "stop":
            return stop.run(cache)
        case "clean":
            return clean.run(cache)
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
