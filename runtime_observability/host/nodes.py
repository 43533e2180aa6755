"""What is done to a node that exists: k3s reads its files again only when its container starts."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

import yaml

from runtime_observability.core.cluster_spec import ClusterSpec
from runtime_observability.core.naming import ClusterNames, Names
from runtime_observability.core.settings.node_extras import REGISTRIES_FILE
from runtime_observability.host import container_files, docker, lives, runner
from runtime_observability.host.docker import PAUSED, Owned
from runtime_observability.host.progress import log

_SECONDS = 30
_KEPT = f"{REGISTRIES_FILE}.before"


def seconds_since_start(node: str) -> float:
    """How long a node has run, or had run when it ended; 0 where Docker does not tell."""
    life = lives.read(node).get(node)
    if life is None:
        return 0
    until = docker.now() if life.runs or life.ended is None else life.ended
    return (until - life.started).total_seconds()


def seconds_until_start(node: str) -> float:
    """How long after it was made a node was started for the last time; 0 where Docker does not
    tell. One that was started again, as with the machine, has run before."""
    life = lives.read(node).get(node)
    return (life.started - life.created).total_seconds() if life else 0


def starts(names: Sequence[str]) -> dict[str, float]:
    """When nodes were started for the last time, in Unix seconds by the clock of their reports."""
    known = lives.read(*names) if names else {}
    return {name: life.started.timestamp() for name, life in known.items()}


def revive(found: Iterable[Owned], network: str) -> bool:
    """Lets paused nodes go on and connects those to ``network`` that are not on it. Returns
    whether there was one, which may have another state now.

    k3d takes a paused node for one that runs. k3s takes its address when it starts: a node that ran
    without its network is killed. One that did not run while the network was removed has the name
    of ``network`` among its own, and Docker does not start it: it knows networks by their ids.
    """
    done = False
    found = list(found)
    is_asleep = any(node.is_node and node.state != "running" for node in found)
    reached = _connected_to(network) if is_asleep else {node.name for node in found}
    for node in found:
        if is_paused := node.state == PAUSED:
            log(f"cluster {node.cluster}: {node.name} was paused and goes on")
            runner.run(["docker", "unpause", node.name]).checked()
        is_stale = node.is_on(network) and node.name not in reached
        if is_cut_off := node.is_node and (is_stale or not node.is_on(network)):
            log(f"cluster {node.cluster}: {node.name} is connected to network {network} again")
            if is_stale:
                forget = ["docker", "network", "disconnect", "-f", network, node.name]
                runner.run(forget).checked()
            runner.run(["docker", "network", "connect", network, node.name]).checked()
            if is_paused or node.state == "running":
                kill(node.name)
        done = done or is_paused or is_cut_off
    return done


def _connected_to(network: str) -> set[str]:
    """Names of the containers on the network that has this name now."""
    names: set[str] = set()
    for identity in (found.id for found in docker.networks() if found.name == network):
        listing = ("docker", "ps", "-a", "--filter", f"network={identity}")
        names.update(runner.run([*listing, "--format", "{{.Names}}"]).checked().split())
    return names


def kill(node: str) -> None:
    """Stops a node without k3d's drain, which would delete pods that nothing recreates.

    Containers end with the node, and the kubelet starts them again. The next `k3d cluster start`
    starts the node.
    """
    runner.run(["docker", "kill", "--signal", "KILL", node]).checked()


def added_by_others(names: Names, text: str) -> list[str]:
    """The nodes in ``text`` that somebody else has added to the stack's cluster."""
    found = docker.ClusterNodes.of(docker.containers(), names.cluster, names.owner).added
    return [node.name for node in found if re.search(rf"\b{re.escape(node.name)}\b", text)]


def start(names: Names, wanted: Collection[str]) -> None:
    """Starts those of the ``wanted`` nodes that are stopped, as far as Docker can."""
    for node in docker.ClusterNodes.of(docker.containers(), names.cluster, names.owner).owned:
        if node.name in wanted and node.state != "running":
            runner.run(["docker", "start", node.name])


def remove_stopped_tools(cluster: str) -> None:
    """Removes the tools container that a k3d of before has left, if it is stopped, as once Docker
    was started again: `k3d cluster start` deletes it, and then fails because it cannot start it
    (v5.9.0 pkg/client/environment.go and cluster.go, ClusterStart)."""
    for container in docker.containers():
        if container.name == ClusterNames(cluster).tools and container.state != "running":
            runner.run(["docker", "rm", "--force", "--volumes", container.id]).checked()


def write_registries(node: str, spec: ClusterSpec, folder: Path) -> None:
    """Gives a node the registries of ``spec``, for its next start.

    Where registries are in use k3d has merged them into the file, and it is left as it is, as is
    one that the user has mounted. One that differs is kept beside the new one: somebody may have
    edited it in the node. ``folder`` takes a copy for a moment: what a docker in a snap writes to
    /tmp, nobody else sees there, and the node would seem to have none.
    """
    if spec.registries_in_use or spec.registries_are_mounted:
        return
    before, after = _registries_of(node, folder), spec.registries or "{}\n"
    if before is not None and _read(before) != _read(after):
        log(f"{node}: {REGISTRIES_FILE} is replaced, and {_KEPT} has what it was")
        _give(node, {_KEPT: before})
    if before is not None or spec.registries:
        _give(node, {REGISTRIES_FILE: after})


def copy_registries(server: str, agent: str, spec: ClusterSpec, folder: Path) -> None:
    """Gives an agent that k3d did not create the registries that a server has."""
    if not spec.registries_are_mounted and (text := _registries_of(server, folder)) is not None:
        _give(agent, {REGISTRIES_FILE: text})


def _registries_of(node: str, folder: Path) -> str | None:
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        copy = Path(scratch) / "registries.yaml"
        runner.run(["docker", "cp", f"{node}:{REGISTRIES_FILE}", str(copy)])
        return copy.read_text(encoding="utf-8") if copy.exists() else None


def _read(text: str) -> object:
    """What it says: k3d writes a document anew, with keys that have no value."""
    try:
        return _without_nothing(yaml.safe_load(text))
    except yaml.YAMLError:
        return text


def _without_nothing(document: object) -> object:
    if not isinstance(document, dict):
        return document
    inside = {key: _without_nothing(value) for key, value in document.items()}
    return {key: value for key, value in inside.items() if value not in (None, {}, [], "", False)}


def _give(node: str, files: Mapping[str, str]) -> None:
    """A node that never had any registries may have no folder for them either."""
    archive = container_files.archive_of(files, mode=0o600)
    container_files.unpack(node, archive, seconds=_SECONDS)
