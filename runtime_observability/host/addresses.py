"""The addresses of servers: the etcd of several knows each by the one that it joined with.

k3s starts no server of several at another address (k3s pkg/etcd/etcd.go, Test), and Docker gives a
container the lowest free address of its network whenever it starts. After a restart of the machine
the nodes have each other's, and without this the cluster would be lost (k3d#1637).
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from itertools import chain, takewhile
from typing import Any

from runtime_observability.core import naming
from runtime_observability.core.naming import Names
from runtime_observability.core.observation import Record
from runtime_observability.host import docker, lives, runner
from runtime_observability.host.docker import Owned
from runtime_observability.host.progress import log

_SECONDS = 120
"""After which a placeholder ends, if this program is killed before it removes it."""


@dataclass(frozen=True)
class Network:
    """A Docker network, with what holds its addresses now."""

    subnets: tuple[IPv4Network, ...]
    gateways: frozenset[IPv4Address]
    held: Mapping[str, IPv4Address]
    """By the container's name; only one that runs has an address."""

    @classmethod
    def read(cls, name: str) -> Network:
        """Raises CommandError where there is no such network."""
        inspect = ("docker", "network", "inspect", "--format", "{{json .}}", name)
        document: dict[str, Any] = json.loads(runner.run(inspect).checked())
        ranges = [found for found in document["IPAM"]["Config"] or () if ":" not in found["Subnet"]]
        return cls(
            tuple(IPv4Network(found["Subnet"]) for found in ranges),
            frozenset(IPv4Address(found["Gateway"]) for found in ranges if found.get("Gateway")),
            {
                found["Name"]: IPv4Interface(found["IPv4Address"]).ip
                for found in document["Containers"].values()
                if found["IPv4Address"]
            },
        )

    def holder(self, address: IPv4Address) -> str:
        """The name of the container that has it; empty: there is none."""
        return next((name for name, held in self.held.items() if held == address), "")

    def has(self, address: IPv4Address) -> bool:
        """Whether it is one of the network's: one that was made again may have others."""
        return any(address in subnet for subnet in self.subnets)

    def free_below(self, address: IPv4Address) -> int:
        """How many lower ones of its subnet Docker gives away before it."""
        taken = self.gateways | set(self.held.values())
        hosts = chain.from_iterable(net.hosts() for net in self.subnets if address in net)
        return sum(each not in taken for each in takewhile(lambda each: each < address, hosts))


def read(network: str, servers: Sequence[str]) -> dict[str, str]:
    """Those of ``servers`` that run, by their names; nothing for a single server, which may have
    any, nor without the network."""
    held = _look(network).held if len(servers) > 1 else {}
    return {name: str(held[name]) for name in servers if name in held}


def subnets(network: str) -> tuple[IPv4Network, ...]:
    """Its ranges of IPv4 addresses; none without the network."""
    return _look(network).subnets


def _look(network: str) -> Network:
    """One that is gone, or cannot be read, has nothing."""
    try:
        return Network.read(network)
    except runner.CommandError:
        return Network((), frozenset(), {})


def misplaced(network: str, nodes: Sequence[str], known: Mapping[str, str]) -> dict[str, str]:
    """Why a node that runs has to start again, by its name.

    ``known``: the addresses that servers have to have, from ``read``; without any, nothing is
    looked at.
    """
    if not known:
        return {}
    found = _look(network)
    own = {name: each for name, text in known.items() if found.has(each := IPv4Address(text))}
    owners = {address: name for name, address in own.items()}
    reasons = {}
    for node, address in found.held.items():
        if node not in nodes:
            continue
        if address != own.get(node, address):
            reasons[node] = f"it has address {address}, and etcd knows it by {own[node]}"
        elif owners.get(address, node) != node:
            reasons[node] = f"it has address {address}, by which etcd knows {owners[address]}"
    return reasons


def drift(names: Names, record: Record) -> list[str]:
    """Which nodes have to start again, and why."""
    found = misplaced(names.network, record.nodes, record.addresses)
    return [f"node {name}: {reason}" for name, reason in found.items()]


def advise_on_pools(names: Names, engine: docker.Daemon, networks: Sequence[Owned]) -> list[str]:
    """A warning where Docker may have no addresses for the stack's network: the provider has only
    Docker's words."""
    exists = any(network.name == names.network for network in networks)
    if exists or engine.has_own_pools or len(networks) <= docker.DEFAULT_POOLS:
        return []
    return [
        f"Docker has {len(networks)} networks. If it has no addresses for another one: "
        f"{docker.FREE_ADDRESSES}"
    ]


def advise(names: Names, record: Record, networks: Sequence[Owned]) -> list[str]:
    """What the loss of the network means; ``networks`` are all that Docker has."""
    if not record.addresses or any(network.name == names.network for network in networks):
        return []
    return [
        f"the etcd of cluster {names.cluster} knows its servers by addresses of network "
        f"{names.network}, which is gone ({', '.join(record.addresses.values())}): they start "
        "again only if Docker gives the new network the same ones"
    ]


def start(names: Names, wanted: Mapping[str, str]) -> None:
    """Starts servers that are stopped, each at its address in ``wanted``.

    A container of the stack that has one of these addresses gets another, without a restart.
    Raises CommandError where the network does not have one of them, or a container that is not the
    stack's has it.
    """
    with contextlib.ExitStack() as undo:
        for name, text in sorted(wanted.items(), key=lambda item: IPv4Address(item[1])):
            address = IPv4Address(text)
            network = Network.read(names.network)
            if not network.has(address):
                raise runner.CommandError(
                    f"network {names.network} was made again with other addresses, and etcd knows "
                    f"{name} by {address}: k3s does not start it at another one"
                )
            if holder := network.holder(address):
                undo.enter_context(_moved_away(names, holder, f"{name} needs {address}"))
                network = Network.read(names.network)
            for _ in range(network.free_below(address)):
                undo.enter_context(_placeholder(names, name))
            runner.run(["docker", "start", name]).checked()


@contextlib.contextmanager
def _placeholder(names: Names, server: str) -> Iterator[None]:
    """Holds the lowest free address, with the shell of the server's image, whose tag may be gone.

    It has the cluster's label, so a sweep removes it too.
    """
    image = runner.run(["docker", "inspect", "--format", "{{.Image}}", server]).checked().strip()
    labels = {naming.OWNER_LABEL: names.owner, "k3d.cluster": names.cluster}
    marks = [f"--label={label}={value}" for label, value in labels.items()]
    run = ["docker", "run", "--detach", "--rm", f"--network={names.network}", *marks]
    made = runner.run([*run, "--entrypoint=/bin/sh", image, "-c", f"sleep {_SECONDS}"]).checked()
    try:
        yield
    finally:
        runner.run(["docker", "rm", "--force", "--volumes", made.strip()])


@contextlib.contextmanager
def _moved_away(names: Names, holder: str, reason: str) -> Iterator[None]:
    """Takes a container of the stack off the network until the servers have their addresses.

    What an interrupted run has left, a placeholder or k3d's tools, is removed.
    """
    found = {container.name: container for container in docker.containers()}.get(holder)
    if found is not None and found.cluster == names.cluster and not found.is_node:
        runner.run(["docker", "rm", "--force", "--volumes", found.id]).checked()
        yield
        return
    if found is None or found.owner != names.owner:
        raise runner.CommandError(
            f"{reason} on network {names.network}, because etcd knows it by that address, and "
            f"container {holder} has it: run `docker stop {holder}`, then `pulumi up`"
        )
    log(f"{reason}, which {holder} had: {holder} gets another address")
    given = lives.read(holder)[holder].networks.get(names.network, {}).get("Aliases") or []
    aliases = [alias for alias in given if not found.id.startswith(alias)]  # one is from Docker
    runner.run(["docker", "network", "disconnect", names.network, holder]).checked()
    try:
        yield
    finally:
        options = [f"--alias={alias}" for alias in aliases]
        runner.run(["docker", "network", "connect", *options, names.network, holder]).checked()
