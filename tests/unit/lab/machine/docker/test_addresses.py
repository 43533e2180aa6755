"""The addresses of a private daemon's networks."""

from __future__ import annotations

from ipaddress import IPv4Network, ip_interface
from pathlib import Path

import pytest

from lab.errors import LabError
from lab.machine.docker import addresses

TABLE = """\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0
eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
"""


def test_the_networks_of_a_daemon_are_apart_and_in_one_block() -> None:
    chosen = addresses.choose([])
    networks = [chosen.pool, ip_interface(chosen.bridge).network, chosen.outgoing]
    assert networks == [
        IPv4Network("10.230.0.0/17"),
        IPv4Network("10.230.254.0/24"),
        IPv4Network("10.230.255.0/24"),
    ]
    assert chosen.bridge == "10.230.254.1/24"


def test_what_the_machine_has_a_route_to_is_not_used() -> None:
    company = [IPv4Network("10.230.7.0/24"), IPv4Network("10.231.0.0/16"), IPv4Network("0.0.0.0/0")]
    assert addresses.choose(company).block == IPv4Network("10.232.0.0/16")
    with pytest.raises(LabError, match=r"routes to all of 10\.230\.0\.0/16, .*, 10\.249\.0\.0/16"):
        addresses.choose([IPv4Network("10.0.0.0/8")])


def test_the_machines_routes_are_read_from_the_kernel(tmp_path: Path) -> None:
    table = tmp_path / "route"
    table.write_text(TABLE)
    assert addresses.routes(table) == [IPv4Network("0.0.0.0/0"), IPv4Network("192.0.2.0/24")]
