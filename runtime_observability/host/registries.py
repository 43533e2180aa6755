"""The registries of registries.use: containers that a person had k3d make, and no stack owns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from runtime_observability.core.naming import Names
from runtime_observability.core.problem import Problem
from runtime_observability.host import docker, runner
from runtime_observability.host.docker import Owned
from runtime_observability.host.progress import log


def refuse_missing(use: Sequence[str], containers: Iterable[Owned]) -> list[Problem]:
    """``use`` are entries of registries.use: k3d looks for a container that it made itself, with or
    without its prefix, once the nodes' network is there (k3d v5.9.0 pkg/client/cluster.go)."""
    known = {_bare(container.name) for container in containers if container.role}
    hosts = [entry.partition(":")[0] for entry in use]
    return [
        Problem(
            f"registries.use.{number}",
            f"k3d has no registry {host}",
            "nodes use only a registry that k3d made in this Docker",
            f"run `k3d registry create {_bare(host)}`, or name another registry in "
            "registries.config",
        )
        for number, host in enumerate(hosts)
        if _bare(host) not in known
    ]


def drift(names: Names, use: Sequence[str], containers: Iterable[Owned]) -> list[str]:
    """Which of them the nodes cannot reach: k3d connects a registry when it creates a cluster."""
    return [
        f"registry {found.name} is not connected to network {names.network}, as when it was made "
        "again"
        for found in _used(use, containers)
        if not found.is_on(names.network)
    ]


def connect(names: Names, use: Sequence[str]) -> None:
    """Has the nodes reach those in use."""
    for found in _used(use, docker.containers() if use else ()):
        if not found.is_on(names.network):
            log(f"registry {found.name}: connected to network {names.network}")
            runner.run(["docker", "network", "connect", names.network, found.name])


def advise_on_stopped(use: Sequence[str], containers: Iterable[Owned]) -> list[str]:
    """What nodes pull from them fails; none is the stack's to start."""
    return [
        f"registry {found.name} of registries.use is {found.state}, so nodes pull nothing from it: "
        f"`docker {'unpause' if found.state == docker.PAUSED else 'start'} {found.name}`"
        for found in _used(use, containers)
        if found.state != "running"
    ]


def _used(use: Sequence[str], containers: Iterable[Owned]) -> Iterator[Owned]:
    bare = {_bare(entry.partition(":")[0]) for entry in use}
    return (found for found in containers if found.role and _bare(found.name) in bare)


def _bare(name: str) -> str:
    """Without k3d's prefix."""
    return name.removeprefix("k3d-")
