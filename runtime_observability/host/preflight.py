"""Looks at the machine before the first resource, in preview and in up. Read-only.

``observe`` returns what must stop the run before anything is created, and whether the cluster and
its files are still as ensure made them: Pulumi cannot see that, as a Command has no read.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from runtime_observability.core import naming
from runtime_observability.core.cluster_spec import ClusterSpec
from runtime_observability.core.compatibility import OLDEST_K3D
from runtime_observability.core.naming import MOST_AGENTS, NODE_IMAGE, Names
from runtime_observability.core.observation import GENERATION_LATER, Observation, Record
from runtime_observability.core.problem import Problem
from runtime_observability.core.settings.node_extras import split_node_volume
from runtime_observability.core.stores import MEMORY
from runtime_observability.core.transition import with_agents
from runtime_observability.core.versions import Version
from runtime_observability.core.wanted import Wanted
from runtime_observability.host import (
    addresses,
    api_drift,
    cluster_drift,
    cluster_lock,
    daemon,
    disk,
    docker,
    docker_drift,
    engines,
    jaeger_store,
    k3d,
    lives,
    memory_loss,
    own_container,
    ownership,
    registries,
    renamed,
    restart_policies,
    runner,
    store,
    taken_ports,
    volume,
)
from runtime_observability.host.docker import ClusterNodes, Owned
from runtime_observability.host.files import nearest_folder
from runtime_observability.host.memory_loss import Memory

_IMAGE_ID = "sha256:"


def observe(
    names: Names,
    wanted: Wanted,
    *,
    preview: bool = False,
) -> Observation:
    """Looks at Docker, the ports and the stack's own folder; about 0.3 s.

    ``preview``: two looks at the same machine on one day are alike.
    """
    is_being_made = cluster_lock.is_held(names.directory)  # asked before what that run writes down
    record = store.load(names)
    image = str(record.spec["k3d"]["image"]) if record else ""
    nodes = record.nodes if record else wanted.nodes(names)
    with ThreadPoolExecutor() as looks:  # each waits for a command, or for the API server
        of_k3d, of_engine = looks.submit(check_k3d), looks.submit(docker.daemon)
        of_containers, of_networks = looks.submit(docker.containers), looks.submit(docker.networks)
        of_lives = looks.submit(memory_loss.lives, names.of_cluster, (names.retention, *nodes))
        of_api = looks.submit(api_drift.find, names, record) if record else None
        of_addresses = looks.submit(addresses.drift, names, record) if record else None
        of_image = looks.submit(is_gone, image)
    problems = [
        *check_folders(names),
        *refuse_sources(names, wanted.node_volumes),
        *ownership.refuse_a_claimed_folder(names),
        *of_k3d.result(),
    ]
    try:
        engine = of_engine.result()
        problems += check_engine(engine, names)
        problems += daemon.refuse_a_closed_socket(runner.variables.get("DOCKER_HOST", ""))
        problems += disk.refuse(names, engine.root)
        containers, networks = of_containers.result(), of_networks.result()
        problems += own_container.refuse(names, containers)
        problems += volume.refuse_those_of_others(names, wanted.volumes)
    except runner.CommandError as error:
        return Observation((*problems, daemon.unusable(error)))
    further = wanted.containers(names)
    of_others = ownership.refuse_objects_of_others(names, containers, networks, further)
    problems += of_others
    known = of_lives.result()
    problems += renamed.refuse_nodes(names, containers, nodes, known)
    problems += renamed.refuse_a_jaeger(names, containers)
    # Where the folder was moved or copied, what it was moved from has the ports.
    if not any(problem.key == ownership.FOLDER for problem in of_others):
        problems += taken_ports.refuse(names, wanted, containers)
    problems += registries.refuse_missing(wanted.registries, containers)
    if record:
        address = runner.variables.get("DOCKER_HOST", "")
        problems += ownership.refuse_another_daemon(names, record, engine, address)
    drift = []
    if record and of_api and of_addresses:
        drift = [*cluster_drift.find(names, record, containers), *of_addresses.result()]
        drift = drift or of_api.result()
        drift += restart_policies.drift(known.values())
        drift += registries.drift(names, wanted.registries, containers)
    now = datetime.now(UTC)
    endpoints = {name: life.networks for name, life in known.items()}
    found = docker_drift.find(
        names,
        containers,
        networks,
        wanted,
        endpoints,
        made_now=naming.MADE_LATER if preview else now.isoformat(timespec="microseconds"),
    )
    trace_store, trace_store_servers, jaeger_spec = _trace_store(names, containers)
    if of_image.result():
        drift.append(f"image {image} is gone")
    return Observation(
        tuple(problems),
        tuple(drift),
        next_generation(
            names,
            record,
            drift,
            [*containers, *networks],
            first=GENERATION_LATER if preview else int(now.timestamp() * 1e6),
        ),
        cgroup_v1=engine.cgroup_version == "1",
        limits_swap=engine.limits_swap,
        architecture=engine.architecture,
        memory_mib=engine.memory_mib,
        reached_as={
            name: lives.reached_as(endpoints.get(name, {}))
            for name in (names.collector, names.jaeger)
            if wanted.exporters
        },
        record=_standing(names, record, containers, is_being_made=is_being_made),
        created_from=ClusterNodes.of(containers, names.cluster, names.owner).created_from,
        held_ports={
            container.name: frozenset(container.host_ports())
            for container in containers
            if container.owner == names.owner
        },
        made=found.made,
        trace_store=trace_store,
        jaeger_spec=jaeger_spec,
        trace_store_servers=trace_store_servers,
        notices=(
            *(found.reasons if record else ()),
            *(
                ownership.advise_on_another_daemon(names, record, engine, [*containers, *networks])
                if record
                else ()
            ),
            *(addresses.advise(names, record, networks) if record else ()),
            *addresses.advise_on_pools(names, engine, networks),
            *advise_on_losses(memory_loss.of(names.of_cluster, known)),
            *disk.advise(engine.root),
            *jaeger_store.advise(names.jaeger, containers),
            *ownership.advise_on_added_nodes(names, containers),
            *registries.advise_on_stopped(wanted.registries, containers),
            *advise_on_another_image(names, image, containers),
        ),
        today=now.date(),
    )


def _trace_store(names: Names, containers: Sequence[Owned]) -> tuple[str, tuple[str, ...], str]:
    """That of the stack's Jaeger, its servers, and what it is made of: one of an earlier release
    tells neither of these two.

    Without a Jaeger, what the collector says of it.
    """
    own = {found.name: found for found in containers if found.owner == names.owner}
    if jaeger := own.get(names.jaeger):
        servers = tuple(filter(None, jaeger.store_servers.split(",")))
        return jaeger.store or MEMORY, servers, jaeger.spec
    return own[names.collector].store if names.collector in own else "", (), ""


def _standing(
    names: Names, record: Record | None, containers: list[Owned], *, is_being_made: bool
) -> Record | None:
    """``record`` with the agents that exist: ensure writes down what it wants before it adds or
    removes them.

    New agents that did not start were removed again: no change of theirs replaces the cluster. One
    that was to go and stayed, as with volumes of its own, goes with the next up.
    A record of another cluster than the one that stands, from a backup for instance, tells nothing.
    One that a run is making is not called incomplete: it may be complete before this run is there.
    """
    nodes = ClusterNodes.of(containers, names.cluster, names.owner)
    if record is None or nodes.created_from - {record.digest}:
        return None
    spec = ClusterSpec.read(record.spec)
    there = {node.name for node in nodes.owned}
    agents = MOST_AGENTS
    while agents and names.node("agent", agents - 1) not in there:
        agents -= 1
    never_complete = record.never_complete and not is_being_made
    document = with_agents(spec, agents).document
    return replace(record, spec=document, never_complete=never_complete)


def check_folders(names: Names) -> list[Problem]:
    """Both are in k3d's configuration: one in the nodes' labels, one in their mounts."""
    folders = {"project": names.folder, "state": names.own_state_folder}
    return [
        problem
        for of, folder in folders.items()
        if folder
        for problem in naming.refuse_a_folder_the_nodes_cannot_mount(folder, of)
    ]


def is_gone(image: str) -> bool:
    """Whether a node image that this project built is missing: no registry has it."""
    return image.startswith(f"{NODE_IMAGE}:") and not docker.has_image(image)


def advise_on_another_image(names: Names, image: str, containers: list[Owned]) -> list[str]:
    """A warning where another image has the name ``image`` of the nodes' by now, as after it was
    built again. Docker is asked for more only where they do not have that name's any more."""
    nodes = ClusterNodes.of(containers, names.cluster, names.owner).owned
    servers = [node for node in nodes if node.role == "server"]
    older = [node.name for node in servers if node.image.startswith(_IMAGE_ID)]
    if not older or image.startswith(_IMAGE_ID) or not docker.has_image(image):
        return []
    return [
        f"{image} is another image than {older[0]} has, as after it was built or pulled again: the "
        f"nodes keep theirs until a change replaces the cluster. `k3d cluster delete "
        f"{names.cluster}`, then `pulumi up`, makes the cluster of it, without its workloads"
    ]


def next_generation(
    names: Names, record: Record | None, drift: list[str], found: list[Owned], *, first: int
) -> int:
    """The same in every look at the same machine, but ``first``; ``found`` are Docker's objects.

    Where the record is lost, Pulumi's state has a generation that cannot be known here: the time at
    which the record's folder was last changed is beyond it, because a generation is otherwise
    incremented by one. It is in microseconds: a number in Pulumi's state is a double, which holds
    no nanoseconds of today. A stack without any trace on this machine is a new one, or all but its
    state is lost: it begins with ``first``, the time of this run.
    """
    if record:
        return record.generation + 1 if drift else record.generation
    folder = nearest_folder(names.directory)
    if folder != names.directory and names.owner not in {item.owner for item in found}:
        return first
    return folder.stat().st_mtime_ns // 1000


def check_k3d() -> list[Problem]:
    cure = "install k3d (https://k3d.io), or let `make up` build it"
    if not shutil.which("k3d"):
        return [Problem("k3d", "not on PATH", cure=cure)]
    try:
        version = k3d.version()
    except runner.CommandError as error:
        return [Problem("k3d", str(error), cure=cure)]
    number = re.split(r"[^\d.]", version)[0]
    if number and Version.parse(number) < OLDEST_K3D:
        return [Problem("k3d", f"{number} is too old", f"the minimum is {OLDEST_K3D}", cure)]
    return []


def check_engine(engine: docker.Daemon, names: Names) -> list[Problem]:
    """Whether this Docker can run the nodes of a project in this folder."""
    return engines.refuse(engine, names.folder, Path.home(), docker.program())


def refuse_sources(names: Names, volumes: Sequence[str]) -> Iterator[Problem]:
    """``volumes`` are entries of nodeVolumes."""
    own = names.directory.resolve()
    for number, text in enumerate(volumes):
        key, source = f"nodeVolumes.{number}", names.folder / split_node_volume(text)[0]
        if not ownership.is_there(source):
            why = "Docker would create an empty folder in its place"
            yield Problem(key, f"{source} does not exist", why, "create it, or name another")
        elif source.resolve().is_relative_to(own):
            why = "`pulumi destroy` removes that folder"
            yield Problem(key, f"{source} is in the stack's own folder", why, "move it elsewhere")


def advise_on_losses(memory: Memory | None) -> list[str]:
    """What a person restarted is known to that person."""
    if memory is None:
        return []
    loss = memory.loss
    return [
        *([f"traces are lost: {loss}"] if loss and loss.crashes else []),
        *(f"spans may be lost: {crashes}" for crashes in memory.crashes),
    ]
