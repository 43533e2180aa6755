"""Looks at the machine before the first resource, in preview and in up. Read-only.

``observe`` returns what must stop the run before anything is created, and whether the cluster and
its files are still as ensure made them: Pulumi cannot see that, as a Command has no read.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import shutil
import ssl
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import yaml

from runtime_observability.core import naming
from runtime_observability.core.compatibility import OLDEST_K3D
from runtime_observability.core.naming import NODE_IMAGE, Names
from runtime_observability.core.observation import Observation, Record
from runtime_observability.core.problem import Problem
from runtime_observability.core.settings import PORT_DEFAULTS
from runtime_observability.core.versions import Version
from runtime_observability.host import docker, engines, ownership, ports, runner, store
from runtime_observability.host.docker import Owned


def observe(
    names: Names,
    host_ports: Mapping[str, int],
    port_offset: int = 0,
    registries: Sequence[str] = (),
) -> Observation:
    """Looks at Docker, the ports and the stack's own folder; about 0.3 s."""
    problems = [
        *check_folders(names),
        *ownership.refuse_a_claimed_folder(names),
        *check_k3d(),
    ]
    try:
        daemon = docker.daemon()
        problems += check_engine(daemon, names)
        problems += check_host()
        containers = docker.containers()
        networks = docker.networks()
    except runner.CommandError as error:
        problems.append(
            Problem(
                "Docker",
                "the daemon does not answer",
                str(error),
                "start it, or name its socket in DOCKER_HOST",
            )
        )
        return Observation(tuple(problems))
    problems += ownership.refuse_objects_of_others(names, containers, networks)
    problems += refuse_taken_ports(names, host_ports, containers, port_offset)
    problems += refuse_missing_registries(registries, containers)
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
        today=date.today(),
    )


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


def next_generation(record: Record | None, drift: list[str]) -> int:
    if record is None:
        return store.unused_generation()
    return record.generation + 1 if drift else record.generation


def check_k3d() -> list[Problem]:
    cure = "install k3d (https://k3d.io), or let `make up` build it"
    if not shutil.which("k3d"):
        return [Problem("k3d", "not on PATH", cure=cure)]
    shown = runner.run(["k3d", "version"]).stdout
    found = re.search(r"k3d version v(\d+\.\d+\.\d+)", shown)
    if found and Version.parse(found[1]) < OLDEST_K3D:
        return [Problem("k3d", f"{found[1]} is too old", f"the minimum is {OLDEST_K3D}", cure)]
    return []


def check_engine(daemon: docker.Daemon, names: Names) -> list[Problem]:
    """Whether this Docker can run the nodes of a project in this folder."""
    return engines.refuse(daemon, names.folder, Path.home(), docker.program())


def check_host() -> list[Problem]:
    """Whether everything talks to one daemon, on this machine. Raises CommandError."""
    command_line = docker.command_line_host()
    return [
        *refuse_two_daemons(
            docker.provider_host(), command_line, os.environ.get("DOCKER_CONTEXT", "")
        ),
        *refuse_a_daemon_elsewhere(command_line),
    ]


def refuse_a_daemon_elsewhere(host: str) -> list[Problem]:
    """Ports are published on the daemon's own 127.0.0.1, and nodes mount this folder's files."""
    address = urlsplit(host)
    if address.scheme not in ("ssh", "tcp", "http", "https") or (
        address.scheme != "ssh" and address.hostname in ("127.0.0.1", "localhost", "::1")
    ):
        return []
    return [
        Problem(
            "Docker",
            f"the daemon at {host} is on another machine",
            "its ports on 127.0.0.1 cannot be reached from here, and its nodes cannot mount this "
            "folder's files",
            "run this where the daemon is, or name a local socket in DOCKER_HOST",
        )
    ]


def refuse_two_daemons(provider: str, command_line: str, context: str = "") -> list[Problem]:
    """Pulumi's provider and k3d must talk to the same daemon.

    ``context`` is DOCKER_CONTEXT: for the provider it beats DOCKER_HOST, for the docker command
    DOCKER_HOST beats it; and the provider has no context ``default``.
    """
    if context:
        return [
            Problem(
                "Docker",
                f"DOCKER_CONTEXT is {context}",
                "Pulumi's Docker provider does not read it as docker and k3d do",
                f"run `unset DOCKER_CONTEXT; export DOCKER_HOST={command_line}`",
            )
        ]
    if provider == command_line:
        return []
    return [
        Problem(
            "Docker",
            f"docker and k3d use {command_line}, but Pulumi's Docker provider would use {provider}",
            "the provider does not read docker contexts",
            f"run `export DOCKER_HOST={command_line}`",
        )
    ]


def refuse_missing_registries(use: Sequence[str], containers: list[Owned]) -> list[Problem]:
    """``use`` are entries of registries.use: k3d looks for a container that it made itself, with or
    without its prefix, once the nodes' network is there (k3d v5.9.0 pkg/client/cluster.go)."""
    known = {container.name.removeprefix("k3d-") for container in containers if container.role}
    hosts = [entry.partition(":")[0] for entry in use]
    return [
        Problem(
            f"registries.use.{number}",
            f"k3d has no registry {host}",
            "nodes use only a registry that k3d made in this Docker",
            f"run `k3d registry create {host.removeprefix('k3d-')}`, or name another registry in "
            "registries.config",
        )
        for number, host in enumerate(hosts)
        if host.removeprefix("k3d-") not in known
    ]


def refuse_taken_ports(
    names: Names, host_ports: Mapping[str, int], containers: list[Owned], port_offset: int = 0
) -> list[Problem]:
    """``host_ports`` by the key that sets each, as ``port_offset`` has moved them."""
    holders = {port: container for container in containers for port in container.host_ports}
    problems = []
    for key, port in host_ports.items():
        holder = holders.get(port)
        if holder and holder.owner == names.owner:
            continue
        if holder is None and ports.is_free(port):
            continue
        who = f"container {holder.whose}" if holder else "another program on this machine"
        problems.append(
            Problem(
                key,
                f"port {port} on 127.0.0.1 is held by {who}",
                cure=_other_port(key, port, port_offset),
            )
        )
    return problems


def _other_port(key: str, port: int, port_offset: int) -> str:
    """How to give ``key`` another port: portOffset moves those at their defaults, no others."""
    if key not in PORT_DEFAULTS:
        return "publish it on another HOSTPORT"
    if port != PORT_DEFAULTS[key] + port_offset:
        return f"choose another: `pulumi config set {key} {port + 1}`"
    return (
        "choose other ports for this stack: "
        f"`pulumi config set portOffset {port_offset + 100}` moves every port that has its default"
    )


def find_drift(names: Names, record: Record, containers: list[Owned]) -> list[str]:
    """How the cluster and its files differ from what ensure made; empty when they are the same."""
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
    """A node's container can run while k3s in it is dead: k3d's entrypoint outlives k3s."""
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
