"""The lab's command-line tools, and the folder of PATH that holds them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from lab.build import programs
from lab.build.steps import Step
from lab.machine.machine import Machine
from lab.paths import Cache


def missing(machine: Machine) -> dict[Step, str]:
    """Return the tools that the lab provides, by the step that builds them."""
    tools = {
        programs.pulumi: ("pulumi", machine.lab_pulumi),
        programs.k3d: ("k3d", machine.lab_k3d),
        # Building Kubernetes takes minutes: only where the nodes need it anyway.
        programs.kubernetes[programs.KUBERNETES]: (
            "kubectl",
            machine.lab_kubectl and machine.lab_images,
        ),
    }
    return {step: tool for step, (tool, wanted) in tools.items() if wanted}


def link(cache: Cache, tools: Iterable[Path]) -> None:
    """Make CACHE/bin hold links to exactly these programs."""
    cache.bin.mkdir(parents=True, exist_ok=True)
    wanted = {tool.name: tool for tool in tools}
    for existing in cache.bin.iterdir():
        target = existing.readlink() if existing.is_symlink() else None
        if wanted.get(existing.name) != target:
            existing.unlink()
    for name, tool in wanted.items():
        if not (cache.bin / name).is_symlink():
            (cache.bin / name).symlink_to(tool)
