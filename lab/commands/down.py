"""`make down`: destroy a stack, and prove that nothing of it is left."""

from __future__ import annotations

import dataclasses
import os

from lab.errors import LabError
from lab.machine.machine import examine
from lab.machine.ready import Needs, make_ready
from lab.paths import PROJECT, Cache
from lab.stacks import pulumi
from runtime_observability.core.naming import OWNER_LABEL, Names
from runtime_observability.host import docker, runner


def run(cache: Cache, wanted: str | None) -> int:
    """Destroy the wanted stack, else the one that `make up` brings up without a name.

    That is the default one; where it does not exist, because the machine has changed since, the
    selected one. Returns Pulumi's exit code; raises LabError when something is left.
    """
    machine = examine(cache)
    # A destroy needs no image, so none is built.
    os.environ.update(make_ready(Needs(dataclasses.replace(machine, lab_images=False))))
    stacks = pulumi.stack_names()
    stack = wanted or machine.default_stack
    if wanted is None and stack not in stacks:
        stack = pulumi.selected_stack() or stack
    if stack in stacks:
        code = pulumi.run(["destroy", "--yes", "--skip-preview"], stack)
        if code:
            return code
    else:
        print(f"Pulumi has no stack {stack}: there is nothing to destroy")
    names = Names(stack, PROJECT)
    volumes = _volumes(names)
    # A destroy that ends well leaves them for keepTraces alone: else its guards remove them.
    kept = [name for name in volumes if name in (names.traces, names.open_search_traces)]
    left = [*_left_behind(names), *(name for name in volumes if name not in kept)]
    if left:
        # `make up` takes no cluster for a killed run's that Pulumi's state does not have.
        first = f"`k3d cluster delete {names.cluster}` and then " if _cluster_stands(names) else ""
        raise LabError(
            f"stack {stack} is destroyed, but these are left: {', '.join(left)}. To remove what "
            f"has the stack's labels and is not in its state, run {first}`make up` and `make down` "
            "again"
        )
    but = _kept(names, kept)
    print(
        f"Nothing is left of stack {stack}"
        + (f" but {'; and '.join(but)}." if but else ": no container, network, volume or file.")
    )
    return 0


def _kept(names: Names, volumes: list[str]) -> list[str]:
    """What a destroy leaves on purpose, and how it goes."""
    traces = (
        "the traces that keepTraces kept: the next `make up` with that store finds them, and "
        f"`docker volume rm {' '.join(volumes)}` removes them"
    )
    entries = (
        f"{names.kept_kubeconfig}, what others have written into its kubeconfig: the next `make "
        "up` takes it back, and `rm` removes it"
    )
    return [*([traces] if volumes else []), *([entries] if names.kept_kubeconfig.exists() else [])]


def _left_behind(names: Names) -> list[str]:
    objects = [*docker.containers(), *docker.networks()]
    owned = [found.name for found in objects if found.owner == names.owner]
    folders = [f"folder {names.directory}"] if names.directory.exists() else []
    return [*owned, *folders]


def _cluster_stands(names: Names) -> bool:
    return bool(docker.ClusterNodes.of(docker.containers(), names.cluster, names.owner).owned)


def _volumes(names: Names) -> list[str]:
    label = f"label={OWNER_LABEL}={names.owner}"
    return runner.run(["docker", "volume", "ls", "--quiet", "--filter", label]).checked().split()
