"""Reads the Docker daemon's objects through the docker command. Nothing here changes them."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from runtime_observability.core import naming
from runtime_observability.host import runner

INFO = ("docker", "info", "--format", "{{json .}}")
"""The command whose output has every fact about the daemon."""
_ON_LOOPBACK = re.compile(
    r"(?:^|, )(?:127\.0\.0\.1|0\.0\.0\.0|\[::\]|::):(\d+)(?:-(\d+))?->[\d-]+/(tcp|udp)"
)
DEFAULT_POOLS = 31
"""Networks that fit in Docker's default address pools: 15 of /16 and 16 of /20."""
FREE_ADDRESSES = (
    "`docker network ls` lists all, and `docker network rm NAME` removes one that nobody needs; "
    "`docker network prune` would also remove those of stopped clusters"
)
PAUSED = "paused"
"""The state of a container that `docker pause` has stopped, with all that it has in memory."""
_LABELS = {
    "owner": naming.OWNER_LABEL,
    "stack": naming.STACK_LABEL,
    "folder": naming.FOLDER_LABEL,
    "spec": naming.SPEC_LABEL,
    "made": naming.MADE_LABEL,
    "store": naming.STORE_LABEL,
    "store_servers": naming.STORE_SERVERS_LABEL,
    "cluster": "k3d.cluster",
    "role": "k3d.role",
}


@dataclass(frozen=True)
class Owned:
    """A container or network with its owner; a label that it does not have is empty."""

    id: str
    name: str
    owner: str
    stack: str
    folder: str
    spec: str = ""
    made: str = ""
    store: str = ""
    store_servers: str = ""
    cluster: str = ""
    role: str = ""
    image: str = ""
    """Of a container, as it was named, or its id where that name is another image's by now, or none
    has it (moby v28.5.2 daemon/list.go)."""
    state: str = ""
    ports: str = ""
    networks: str = ""
    """The names of its networks, with commas between them."""

    def is_on(self, network: str) -> bool:
        """Whether the container is connected to the network of that name."""
        return network in self.networks.split(",")

    def host_ports(self, protocol: str = "tcp") -> set[int]:
        """Ports of the host's 127.0.0.1 that it holds; only a running container has any.

        One that is published on another address alone leaves 127.0.0.1 free. docker lists
        consecutive ports that are published under the same number as one range, as in
        ``127.0.0.1:4317-4318->4317-4318`` (docker CLI v28.2.2
        cli/command/formatter/container.go).
        """
        ranges = _ON_LOOPBACK.findall(self.ports)
        return {
            port
            for first, last, of in ranges
            if of == protocol
            for port in range(int(first), int(last or first) + 1)
        }

    @property
    def has_traces_in_memory(self) -> bool:
        """Whether it is a Jaeger without another store, which alone has a spec and no cluster."""
        return bool(self.spec) and not self.cluster and self.state in ("running", PAUSED)

    @property
    def is_node(self) -> bool:
        """Whether it is a node of a k3d cluster: k3d's tools container has another role."""
        return self.role in ("server", "agent")

    @property
    def is_renamed(self) -> bool:
        """Whether it is a node under another name than k3d gave it (k3d v5.9.0
        pkg/client/node.go), by which nothing else finds it."""
        given = rf"k3d-{re.escape(self.cluster)}-{self.role}-\d+"
        return self.is_node and not re.fullmatch(given, self.name)

    @property
    def whose(self) -> str:
        """The object's name and the stack that owns it, for messages."""
        if not self.owner:
            return f"{self.name}, which no stack of this project made"
        return f"{self.name} of stack {self.stack} in {self.folder}"


@dataclass(frozen=True)
class ClusterNodes:
    """The nodes of one k3d cluster by owner, as ``sweep_cluster.sh`` decides it too.

    The cluster is a stack's if a node has that stack's owner label and no node another's.
    """

    owned: tuple[Owned, ...]
    """Nodes of the stack."""
    unowned: tuple[Owned, ...]
    """Nodes without an owner: `k3d node create` gives a node no labels but k3d's own."""
    others: tuple[Owned, ...]
    """Nodes of another owner."""

    @classmethod
    def of(cls, containers: Iterable[Owned], cluster: str, owner: str) -> ClusterNodes:
        """The nodes of ``cluster`` among ``containers``, seen by the stack ``owner``."""
        nodes = [node for node in containers if node.is_node and node.cluster == cluster]
        return cls(
            owned=tuple(node for node in nodes if node.owner == owner),
            unowned=tuple(node for node in nodes if not node.owner),
            others=tuple(node for node in nodes if node.owner not in ("", owner)),
        )

    @property
    def created_from(self) -> frozenset[str]:
        """The digests of the specs that the stack's servers were created from; usually one."""
        return frozenset(node.spec for node in self.owned if node.role == "server")

    @property
    def added(self) -> tuple[Owned, ...]:
        """Nodes that were added by hand to the stack's cluster, and go with it."""
        return self.unowned if self.owned and not self.others else ()

    @property
    def foreign(self) -> tuple[Owned, ...]:
        """Nodes that hold the cluster's name against the stack."""
        return self.others + (() if self.owned else self.unowned)


@dataclass(frozen=True)
class Daemon:
    """The properties of the Docker daemon that decide what is generated."""

    version: str
    cgroup_version: str
    architecture: str
    """As Go and image registries name it: amd64, arm64."""
    limits_swap: bool
    """Whether the kernel accounts for swap; where it does not, Docker discards swap limits."""
    rootless: bool = False
    root: str = ""
    """The folder in which it keeps everything, on its own machine."""
    memory_mib: int = 0
    """Of its machine; 0 where that is not known."""
    id: str = ""
    """The same for as long as the daemon keeps what is in it."""
    has_own_pools: bool = False
    """Whether it takes addresses for networks from other pools than Docker's default ones."""

    @classmethod
    def read(cls, output: str) -> Daemon:
        """From the output of ``INFO``. Raises CommandError when it is not a Docker daemon's."""
        info = json.loads(output)
        if errors := info.get("ServerErrors"):
            raise runner.CommandError("; ".join(errors))
        if "ServerVersion" not in info:
            raise NotDockerError(
                "`docker info` shows no ServerVersion, so this may be Podman: k3d and Pulumi's "
                "provider need Docker"
            )
        return cls(
            version=info["ServerVersion"],
            cgroup_version=info.get("CgroupVersion", "1"),
            architecture=architecture(info["Architecture"]),
            limits_swap=info.get("SwapLimit", False),
            rootless=any("rootless" in option for option in info.get("SecurityOptions") or ()),
            root=info.get("DockerRootDir", ""),
            memory_mib=info.get("MemTotal", 0) >> 20,
            id=info.get("ID", ""),
            has_own_pools=bool(info.get("DefaultAddressPools")),
        )


class NotDockerError(runner.CommandError):
    """The docker command belongs to another engine."""


def architecture(machine: str) -> str:
    """The name that Go and image registries use for ``machine``, the kernel's name."""
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)


def daemon() -> Daemon:
    """Raises CommandError when the docker command is missing or no daemon answers it."""
    return Daemon.read(runner.run(INFO).checked())


def now() -> datetime:
    """By the clock of its machine, and so of the nodes: that of a virtual machine is behind after
    a sleep. By this machine's where Docker does not tell."""
    shown = runner.run(INFO)
    try:
        return datetime.fromisoformat(json.loads(shown.stdout)["SystemTime"])
    except (ValueError, TypeError, LookupError):
        return datetime.now(UTC)


def program() -> Path:
    """The docker command with its links resolved. Raises CommandError when there is none."""
    found = shutil.which("docker")
    if found is None:
        raise runner.CommandError("`docker` is not on PATH: install it, or run `make up`")
    return Path(found).resolve()


def containers() -> list[Owned]:
    """Every container, running or not."""
    fields = {"id": ".ID", "name": ".Names", "image": ".Image", "state": ".State"}
    fields |= {"ports": ".Ports", "networks": ".Networks"}
    return _listed(["docker", "ps", "-a", "--no-trunc"], fields)


def has_image(image: str) -> bool:
    return runner.run(["docker", "image", "inspect", image]).code == 0


def is_served(image: str, seconds: float = 6) -> bool:
    """Whether the image's registry has it; False if it does not answer within ``seconds``.

    Needs no daemon.
    """
    return not why_not_served(image, seconds)


def why_not_served(image: str, seconds: float) -> str:
    """Why the image's registry does not have it; empty if it has. Needs no daemon."""
    try:
        answer = runner.run(["docker", "manifest", "inspect", image], timeout=seconds)
    except runner.CommandError as error:
        return str(error)
    if answer.code == 0:
        return ""
    return (answer.stderr.strip() or "docker says nothing").splitlines()[-1]


def networks() -> list[Owned]:
    return _listed(["docker", "network", "ls", "--no-trunc"], {"id": ".ID", "name": ".Name"})


def _listed(argv: list[str], fields: dict[str, str]) -> list[Owned]:
    labels = {field: f'(.Label "{label}")' for field, label in _LABELS.items()}
    cells = ",".join(
        f'"{field}":{{{{json {source}}}}}' for field, source in (fields | labels).items()
    )
    listed = runner.run([*argv, "--format", f"{{{cells}}}"])
    lines = replace(listed, argv=tuple(argv)).checked().splitlines()  # no error has the format
    rows: list[dict[str, Any]] = [json.loads(line) for line in lines]
    return [Owned(**row) for row in rows]
