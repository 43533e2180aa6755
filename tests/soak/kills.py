"""The kill matrix's cases: what is killed, in which phase of which operation, and the cure.

A phase assumes nothing of what else is there by then. A victim that does not run in it is no case.
Its rows are in phases.py.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from tests.live import daemon
from tests.live.command import Run, Running
from tests.live.stack import UP_SECONDS, Stack
from tests.live.waiting import until

_ENGINE_SECONDS = 10.0
"""How long a killed engine may take to be gone."""

Ids = Mapping[str, str]
"""Container ids by name."""
Settings = Mapping[str, Any]


class Victim(Enum):
    """``ALL`` is what the out-of-memory killer or a log-out takes: the engine with its children."""

    ENGINE = "engine"
    ALL = "engine and all that it started"
    K3D = "k3d"
    DOCKERD = "dockerd"


@dataclass(frozen=True)
class Phase:
    """``reached``: whether it has begun, by the stack and its containers before the operation."""

    name: str
    reached: Callable[[Stack, Ids], bool]
    k3d: bool = False
    """Whether k3d runs in it."""
    old_cluster: bool = False
    """Whether the cluster of before must still be there, unharmed."""
    network_goes: bool = False
    """Whether Docker deletes a network in it: one that is killed then may forget all it has, that
    of the cluster too."""
    before: Settings = field(default_factory=dict)
    """With which the stack stands before."""
    wanted: Callable[[Stack], Settings] = lambda _: {}
    """With which the operation is run."""

    def victims(self) -> tuple[Victim, ...]:
        """Those that can be killed in it on this machine."""
        dockerd = daemon.is_used() and not (self.network_goes and self.old_cluster)
        absent = {Victim.K3D: not self.k3d, Victim.DOCKERD: not dockerd}
        return tuple(victim for victim in Victim if not absent.get(victim))


@dataclass(frozen=True)
class Case:
    command: str
    """What is interrupted: ``up`` or ``destroy``."""
    phase: Phase
    victim: Victim
    cure: str
    """What the user runs then: ``up`` or ``destroy``."""

    def __str__(self) -> str:
        return f"{self.victim.value} when {self.phase.name}, then {self.cure}"


def cases(command: str, phases: tuple[Phase, ...]) -> tuple[Case, ...]:
    """Every victim in every phase, cured by the same command; a killed engine by the other too."""
    other = {"up": "destroy", "destroy": "up"}[command]
    return tuple(
        Case(command, phase, victim, cure)
        for phase in phases
        for victim in phase.victims()
        for cure in ((command, other) if victim is Victim.ENGINE else (command,))
    )


def interrupt(stack: Stack, case: Case) -> Run:
    """Kills ``case.victim`` in its phase; the interrupted command once it has ended."""
    before = stack.ids()
    running = stack.start(case.command, "--yes", "--skip-preview")
    until(
        f"the phase in which {case.phase.name}",
        lambda: case.phase.reached(stack, before) or running.ended(),
        UP_SECONDS,
        every=0.05,
    )
    if running.ended():
        raise AssertionError(f"{case.command} ended too soon:\n{running.wait(0).said}")
    return _kill(case.victim, stack, running)


def _kill(victim: Victim, stack: Stack, running: Running) -> Run:
    match victim:
        case Victim.ENGINE:
            running.signal(signal.SIGKILL)
            return running.wait(_ENGINE_SECONDS).failed()
        case Victim.ALL:
            running.signal(signal.SIGKILL)
            stack.end_orphans()
            return running.wait(_ENGINE_SECONDS).failed()
        case Victim.K3D:
            os.kill(_k3d(stack), signal.SIGKILL)
            return running.wait(UP_SECONDS).failed()
        case Victim.DOCKERD:
            daemon.kill_and_restart()
            return running.wait(UP_SECONDS)  # it may succeed, if it did not need Docker meanwhile


@contextmanager
def asleep(stack: Stack, module: str) -> Iterator[None]:
    """The orphans that run ``python -m module`` stop, and go on at the end."""
    orphans = [pid for pid, line in stack.orphans().items() if f"-m {module}" in line]
    if not orphans:
        raise AssertionError(f"no {module} works on the stack")
    for pid in orphans:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in orphans:
            os.kill(pid, signal.SIGCONT)


def _k3d(stack: Stack) -> int:
    """The process id of the k3d that creates or starts a cluster of the stack."""
    for pid, line in stack.orphans().items():
        program, *words = line.split()
        if Path(program).name == "k3d" and words[:2] in (
            ["cluster", "create"],
            ["cluster", "start"],
        ):
            return pid
    raise AssertionError("no k3d creates or starts a cluster in this phase")


def at_work(stack: Stack) -> list[str]:
    """Command lines of the processes that work on the stack, without Pulumi's own.

    The plugins and the program of a killed engine stay, and do nothing without it.
    """
    return [line for line in stack.orphans().values() if not _is_pulumi(line)]


def _is_pulumi(line: str) -> bool:
    """Whether the program, or the script that an interpreter runs, is one of Pulumi's."""
    return any(Path(word).name.startswith("pulumi") for word in line.split()[:2])
