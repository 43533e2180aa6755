"""Which addresses a private daemon uses in its network namespace."""

from __future__ import annotations

import ipaddress
import socket
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path

from lab.errors import LabError

# Docker's own defaults are 172.17-31/16 and 192.168/20s, kind's 10.244/16, k3s' 10.42-43/16.
CANDIDATES = tuple(IPv4Network(f"10.{230 + n}.0.0/16") for n in range(20))
ROUTES = Path("/proc/net/route")


@dataclass(frozen=True)
class Addresses:
    """The networks of one daemon, all of one block."""

    block: IPv4Network

    @property
    def pool(self) -> IPv4Network:
        """From here every network of containers gets a /24."""
        return next(self.block.subnets(prefixlen_diff=1))

    @property
    def bridge(self) -> str:
        """The address of the default bridge, with its prefix length."""
        return f"{self.block[254 * 256 + 1]}/24"

    @property
    def outgoing(self) -> IPv4Network:
        """The network of slirp4netns, through which connections leave the namespace."""
        return IPv4Network((self.block[255 * 256], 24))


def choose(routes: Iterable[IPv4Network]) -> Addresses:
    """Return the first addresses that no route of the machine covers.

    What such a route leads to could not be reached from a container, nor could a registry there be
    reached by the daemon.
    """
    taken = [route for route in routes if route.prefixlen]
    for block in CANDIDATES:
        if not any(block.overlaps(route) for route in taken):
            return Addresses(block)
    raise LabError(
        "no addresses are free for the private Docker daemon: this machine has routes to all of "
        f"{', '.join(map(str, CANDIDATES))}"
    )


def routes(table: Path = ROUTES) -> list[IPv4Network]:
    """Return the destinations of the machine's routes."""
    rows = [line.split() for line in table.read_text(encoding="ascii").splitlines()[1:]]
    return [IPv4Network(f"{_address(row[1])}/{_address(row[7])}") for row in rows]


def _address(number: str) -> ipaddress.IPv4Address:
    """Return the address that the kernel prints as one number in the machine's byte order."""
    return ipaddress.IPv4Address(socket.inet_ntoa(struct.pack("=L", int(number, 16))))
