"""`python3 -m lab COMMAND`: what the Makefile calls. It runs on the system's Python."""

from __future__ import annotations

import argparse
import dataclasses
import os
import shutil
import signal
import subprocess
import sys
from types import FrameType
from typing import NoReturn

from lab import check, daemon, environment, stacks
from lab.machine import look
from lab.paths import Cache
from lab.steps import LabError, progress
from runtime_observability.core.naming import NODE_IMAGE, OWNER_LABEL
from runtime_observability.host import runner


def main(arguments: list[str]) -> int:
    """Run one command; return the exit code."""
    parser = argparse.ArgumentParser(prog="python3 -m lab", description=__doc__)
    parser.add_argument(
        "command",
        choices=("up", "down", "env", *check.TIERS, "lab", "stop", "clean"),
    )
    parser.add_argument("--stack", help="dev, lab, or a developer's own (default: as it fits)")
    chosen = parser.parse_args(arguments)
    cache = Cache.of_this_user()
    if chosen.command in check.TIERS:
        return check.run(chosen.command, cache)
    if chosen.command == "stop":
        print("stopped" if daemon.stop(daemon.Daemon(cache.docker)) else "no private daemon runs")
        return 0
    if chosen.command == "clean":
        return clean(cache)
    if chosen.command == "lab":
        environment.build_everything(cache)
        return 0
    machine = look(cache)
    if chosen.command == "up":
        print("\n".join(machine.reasons), flush=True)
    # A destroy needs no image: it shouldn't wait for one to be built.
    images = machine.built_images and chosen.command != "down"
    nodes = stacks.nodes_of(chosen.stack or machine.default_stack) if images else []
    exports = environment.make_ready(dataclasses.replace(machine, built_images=images), nodes)
    os.environ.update(exports)
    if chosen.command == "up":
        return stacks.up(machine, chosen.stack)
    if chosen.command == "down":
        return stacks.down(machine, chosen.stack)
    print(stacks.shell_exports(exports, chosen.stack), end="")
    return 0


def clean(cache: Cache) -> int:
    """Remove all that was made for stacks; refuse while one lives in the private daemon."""
    _remove_node_images()
    if not cache.root.exists():
        print(f"{cache.root} does not exist: there is nothing to remove")
        return 0
    private = daemon.Daemon(cache.docker)
    if daemon.answers(private):
        command = ["docker", "--host", private.host, "ps", "--all", "--quiet"]
        if runner.run([*command, "--filter", f"label={OWNER_LABEL}"]).checked():
            raise LabError("stacks live in the private Docker daemon; `make down` each of them")
    daemon.stop(private)
    with progress(f"removing {cache.root}"):
        shutil.rmtree(cache.root)
    print(f"removed {cache.root}")
    return 0


def _remove_node_images() -> None:
    """Remove the node images that `containerdTracing: upstream` has built in the user's daemon."""
    if shutil.which("docker") is None:
        return
    listing = ["docker", "images", "--quiet", "--filter", f"reference={NODE_IMAGE}"]
    if listed := runner.run(listing).stdout.split():
        subprocess.run(["docker", "image", "rm", *set(listed)], check=False)


def _end(number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _end)
    try:
        sys.exit(main(sys.argv[1:]))
    except (LabError, runner.CommandError) as error:
        sys.exit(f"\nerror: {error}")
    except KeyboardInterrupt:
        print("\nstopped; the same command goes on where this one ended", file=sys.stderr)
        sys.exit(130)
