"""The lab's command-line tools, and the folders for PATH that hold them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from lab.build.steps import Step
from lab.machine.machine import Machine
from lab.paths import Cache


def missing(machine: Machine) -> dict[Step, str]:
    """Return the tools that PATH lacks, by the step that provides each."""
    return {step: tool for tool, step in machine.tools.items()}


def folder(cache: Cache, names: Iterable[str]) -> Path:
    """Return the folder for PATH with the links to these tools.

    Every set of tools has its own: a shell keeps all of its tools when another checkout needs
    fewer, and gets none instead of one that the machine has.
    """
    return cache.tools / "-".join(sorted(names))


def link(cache: Cache, tools: Iterable[Path]) -> None:
    """Make the folder of these programs hold links to them, in place of those to older builds."""
    programs = {tool.name: tool for tool in tools}
    if not programs:
        return
    into = folder(cache, programs)
    into.mkdir(parents=True, exist_ok=True)
    for name, program in programs.items():
        fresh = into / f".{name}.{os.getpid()}"
        fresh.symlink_to(program)
        fresh.replace(into / name)  # atomically: a shell may be looking for it
