"""What doctor finds at the Docker daemon."""

from __future__ import annotations

from typing import Any

import pytest

from ktrace.checks import daemon

OWN_POOLS = {"DefaultAddressPools": [{"Base": "10.0.0.0/8", "Size": 24}]}


@pytest.mark.parametrize(
    ("info", "networks", "exists", "status"),
    [
        ({}, 28, False, "ok"),
        ({}, 29, False, "warning"),
        ({}, 31, False, "warning"),
        ({}, 32, False, "failure"),
        ({}, 32, True, "ok"),
        (OWN_POOLS, 32, False, "ok"),
    ],
)
def test_the_default_address_pools_hold_31_networks(
    info: dict[str, Any], networks: int, exists: bool, status: str
) -> None:
    """bridge is among them; a stack needs one more unless its network exists."""
    found = daemon.address_pools(info, networks, exists)
    assert found.status == status
    assert f"{networks} networks" in found.seen
