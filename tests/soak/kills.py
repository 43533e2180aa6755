"""The kill matrix as data: what is killed, in which phase of which operation, and the cure.

A phase begins when Docker or the stack's folder shows it, and assumes nothing of what else is there
by then. A victim that does not run in a phase is no case.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import httpx

from tests.live import daemon
from tests.live.command import Run, Running
from tests.live.stack import UP_SECONDS, Stack
from tests.live.waiting import until

_ENGINE_SECONDS = 10.0
"""How long a killed engine may take to be gone."""

Ids = Mapping[str, str]
"""Container ids by name."""


class Victim(Enum):
    ENGINE = "engine"
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

    def victims(self) -> tuple[Victim, ...]:
        """Those that can be killed in it on this machine."""
        there = {Victim.ENGINE: True, Victim.K3D: self.k3d, Victim.DOCKERD: daemon.is_used()}
        return tuple(victim for victim in Victim if there[victim])


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
    """The process id of the k3d that creates a cluster of the stack."""
    for pid, line in stack.orphans().items():
        if Path(line.split(" ")[0]).name == "k3d" and "cluster create" in line:
            return pid
    raise AssertionError("no k3d creates a cluster in this phase")


def at_work(stack: Stack) -> list[str]:
    """Command lines of the processes that work on the stack, without Pulumi's own.

    Plugins and the language host outlive a killed engine by design of the engine's, and do nothing.
    """
    return [line for line in stack.orphans().values() if "pulumi" not in line]


def _has_network(stack: Stack, _: Ids) -> bool:
    return bool(stack.docker.networks(f"name={stack.cluster}"))


def _has_jaeger(stack: Stack, _: Ids) -> bool:
    return stack.docker.exists(stack.jaeger)


def _has_files(stack: Stack, _: Ids) -> bool:
    return any((stack.directory / "node").glob("*"))


def _rehearses(stack: Stack, _: Ids) -> bool:
    return stack.docker.exists(f"k3d-{stack.rehearsal}-server-0")


def _has_new_node(stack: Stack, before: Ids) -> bool:
    return stack.ids().get(stack.server, "") not in ("", before.get(stack.server))


def _api_answers(stack: Stack, before: Ids) -> bool:
    """By any status: the server may want credentials."""
    if not _has_new_node(stack, before):
        return False
    try:
        url = f"https://127.0.0.1:{stack.ports['kubeApiPort']}/readyz"
        return bool(httpx.get(url, verify=False, timeout=1).status_code)  # noqa: S501
    except httpx.HTTPError:
        return False


def _lost(name: str) -> Callable[[Stack, Ids], bool]:
    """Whether the container that was the stack's ``name`` before is gone."""
    return lambda stack, before: not stack.docker.exists(before[getattr(stack, name)])


def _lost_network(stack: Stack, before: Ids) -> bool:
    return not _has_network(stack, before)


_NODE = Phase("the node exists", _has_new_node, k3d=True)
UP = cases(
    "up",
    (
        Phase("the network exists", _has_network),
        Phase("the nodes' files are written", _has_files),
        Phase("Jaeger exists", _has_jaeger),
        _NODE,
        Phase("the API server answers", _api_answers),
    ),
)
OUTLIVED = Case("up", _NODE, Victim.ENGINE, "destroy and up")
DESTROY = cases(
    "destroy",
    (
        Phase("the node is gone", _lost("server")),
        Phase("Jaeger is gone", _lost("jaeger")),
        Phase("the network is gone", _lost_network),
    ),
)
REPLACEMENT = cases(
    "up",
    (
        Phase("the rehearsal's node exists", _rehearses, k3d=True, old_cluster=True),
        Phase("the old node is gone", _lost("server")),
        Phase("the new node exists", _has_new_node, k3d=True),
        Phase("the new API server answers", _api_answers),
    ),
)
