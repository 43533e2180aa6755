"""What this machine holds now, looked at before the first resource, in preview and in up.

Read-only. ``observe`` says what must stop the run before anything is created, and whether the
cluster and its files are still what ensure made of them: Pulumi cannot see that, as a Command has
no read.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import shutil
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import httpx
import yaml

from runtime_observability.core import naming
from runtime_observability.core.naming import NODE_IMAGE, Names
from runtime_observability.core.settings import PORT_DEFAULTS
from runtime_observability.core.versions import Version
from runtime_observability.host import docker, ports, runner, store
from runtime_observability.host.docker import Owned

OLDEST_K3D = Version.parse("5.7.0")
"""Joins external networks and takes this configuration version (k3d docs, v1alpha5)."""


@dataclass(frozen=True)
class Observation:
    """``generation`` goes into the environment of the file and cluster Commands: it stays while
    everything is as ensure left it, so nothing runs; it rises with the first ``drift``."""

    problems: tuple[str, ...] = ()
    drift: tuple[str, ...] = ()
    generation: int = 0
    cgroup_v1: bool = False
    limits_swap: bool = True
    architecture: str = "amd64"
    record: store.Record | None = field(default=None, repr=False)


def observe(names: Names, host_ports: Mapping[str, int], port_offset: int = 0) -> Observation:
    """Looks at Docker, the ports and the stack's own folder; about 0.3 s."""
    problems = [*naming.refuse_a_folder_the_nodes_cannot_mount(names.folder), *check_k3d()]
    try:
        daemon = docker.daemon()
        problems += check_host()
        containers = docker.containers()
        networks = docker.networks()
    except runner.CommandError as error:
        problems.append(
            f"Docker does not answer: {error}. Start it, or name its socket in DOCKER_HOST"
        )
        return Observation(tuple(problems))
    problems += refuse_objects_of_others(names, containers, networks)
    problems += refuse_taken_ports(names, host_ports, containers, port_offset)
    record = store.load(names)
    drift = find_drift(names, record, containers) if record else []
    if record and is_gone(record.spec["k3d"]["image"]):
        drift.append(f"image {record.spec['k3d']['image']} is gone")
    return Observation(
        tuple(problems),
        tuple(drift),
        next_generation(record, drift),
        cgroup_v1=daemon.cgroup_version == "1",
        limits_swap=daemon.limits_swap,
        architecture=daemon.architecture,
        record=record,
    )


def is_gone(image: str) -> bool:
    """Whether a node image that this project built is missing: no registry has it."""
    return image.startswith(f"{NODE_IMAGE}:") and not docker.has_image(image)


def next_generation(record: store.Record | None, drift: list[str]) -> int:
    if record is None:
        return store.unused_generation()
    return record.generation + 1 if drift else record.generation


def check_k3d() -> list[str]:
    cure = "install k3d (https://k3d.io), or let `make up` build it"
    if not shutil.which("k3d"):
        return [f"k3d is not on PATH: {cure}"]
    shown = runner.run(["k3d", "version"]).stdout
    found = re.search(r"k3d version v(\d+\.\d+\.\d+)", shown)
    if found and Version.parse(found[1]) < OLDEST_K3D:
        return [f"k3d {found[1]} is too old, {OLDEST_K3D} is the least: {cure}"]
    return []


def check_host() -> list[str]:
    """Whether everything here talks to one daemon, on this machine. Raises CommandError."""
    command_line = docker.command_line_host()
    return [
        *refuse_two_daemons(
            docker.provider_host(), command_line, os.environ.get("DOCKER_CONTEXT", "")
        ),
        *refuse_a_daemon_elsewhere(command_line),
    ]


def refuse_a_daemon_elsewhere(host: str) -> list[str]:
    """Ports are published on the daemon's own 127.0.0.1, and nodes mount this folder's files."""
    address = urlsplit(host)
    if address.scheme not in ("ssh", "tcp", "http", "https") or (
        address.scheme != "ssh" and address.hostname in ("127.0.0.1", "localhost", "::1")
    ):
        return []
    return [
        f"the Docker daemon at {host} is on another machine, where this one reaches no port of "
        "127.0.0.1 and the nodes find none of this folder's files: run this where the daemon "
        "is, or name a local socket in DOCKER_HOST"
    ]


def refuse_two_daemons(provider: str, command_line: str, context: str = "") -> list[str]:
    """Pulumi's provider and k3d must talk to the same daemon.

    ``context`` is DOCKER_CONTEXT, which the provider follows before DOCKER_HOST and the docker
    command after it; and the provider knows no context ``default``.
    """
    if context:
        return [
            f"DOCKER_CONTEXT is {context}, which Pulumi's Docker provider reads in another way "
            f"than docker and k3d do: run `unset DOCKER_CONTEXT; export DOCKER_HOST={command_line}`"
        ]
    if provider == command_line:
        return []
    return [
        f"docker and k3d talk to {command_line}, but Pulumi's Docker provider would talk to "
        f"{provider}: it does not read docker contexts. Run `export DOCKER_HOST={command_line}`"
    ]


def refuse_objects_of_others(
    names: Names, containers: list[Owned], networks: list[Owned]
) -> list[str]:
    """Names are unique in a daemon: what another owner holds is neither used nor swept."""
    ours = {names.jaeger, names.collector}
    strangers = [
        container
        for container in containers
        if container.owner != names.owner
        and (
            container.name in ours
            # k3d's tools container has no labels of ours: it counts by the cluster's nodes
            or (container.cluster == names.cluster and container.role in ("server", "agent"))
        )
    ]
    strangers += [
        network
        for network in networks
        if network.name == names.network and network.owner != names.owner
    ]
    return [
        f"the name {stranger.name} is taken by {stranger.whose}: destroy that first, or choose "
        "another stack name"
        for stranger in strangers
    ]


def refuse_taken_ports(
    names: Names, host_ports: Mapping[str, int], containers: list[Owned], port_offset: int = 0
) -> list[str]:
    """``host_ports`` by the key that asks for each, as ``port_offset`` has moved them."""
    holders = {port: container for container in containers for port in container.host_ports}
    problems = []
    for key, port in host_ports.items():
        holder = holders.get(port)
        if holder and holder.owner == names.owner:
            continue
        if holder is None and ports.is_free(port):
            continue
        who = f"container {holder.whose}" if holder else "another program on this machine"
        cure = _other_port(key, port, port_offset)
        problems.append(f"{key}: port {port} on 127.0.0.1 is held by {who}. {cure}")
    return problems


def _other_port(key: str, port: int, port_offset: int) -> str:
    """How to give ``key`` another port: portOffset moves those at their defaults, no others."""
    if key not in PORT_DEFAULTS:
        return "Publish it on another HOSTPORT"
    if port != PORT_DEFAULTS[key] + port_offset:
        return f"Give it another: `pulumi config set {key} {port + 1}`"
    return (
        "Give this stack other ports: "
        f"`pulumi config set portOffset {port_offset + 100}` moves all that have their defaults"
    )


def find_drift(names: Names, record: store.Record, containers: list[Owned]) -> list[str]:
    """How the cluster and its files differ from what ensure made; empty when they do not."""
    if not record.complete:
        return [f"the last run ended before cluster {names.cluster} was complete"]
    nodes = {node.name: node for node in containers if node.owner == names.owner}
    drift = []
    for name in record.nodes:
        node = nodes.get(name)
        if node is None:
            drift.append(f"node {name} is gone")
        elif node.state != "running":
            drift.append(f"node {name} is {node.state}")
        elif node.spec != record.digest:
            drift.append(f"node {name} was made from another configuration")
    for file, digest in record.spec["files"].items():
        path = names.node_directory / file
        if not path.is_file():
            drift.append(f"{path} is gone")
        elif hashlib.sha256(path.read_bytes()).hexdigest() != digest:
            drift.append(f"{path} was changed")
    return drift or _api_drift(names)


def _api_drift(names: Names) -> list[str]:
    """A node can be up while k3s in it is dead: k3d's entrypoint outlives it."""
    try:
        cluster = yaml.safe_load(names.kubeconfig.read_text())["clusters"][0]["cluster"]
        trust = ssl.create_default_context(cadata=_decoded(cluster["certificate-authority-data"]))
    except (OSError, ValueError, LookupError, TypeError, yaml.YAMLError):
        return [f"{names.kubeconfig} cannot be read"]
    try:
        status = httpx.get(
            f"{cluster['server']}/readyz", verify=trust, timeout=5, trust_env=False
        ).status_code
    except httpx.HTTPError as error:
        return [f"the API server of cluster {names.cluster} does not answer: {error}"]
    # k3s refuses anonymous requests: 401 is an answer of a living API server
    return [] if status in (200, 401, 403) else [f"the API server answers {status} to /readyz"]


def _decoded(base64_pem: str) -> str:
    return base64.b64decode(base64_pem).decode()
