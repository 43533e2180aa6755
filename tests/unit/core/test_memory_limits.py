"""Memory limits that are larger than the machine."""

from __future__ import annotations

from typing import Any

import pytest

from runtime_observability.core import memory_limits
from runtime_observability.core.observation import Observation
from tests.configuration import parsed

OWN = {"traceStore": "opensearch", "openSearchMemoryMiB": 24_000, "traceRetention": "2d"}
MACHINE = Observation(memory_mib=7821)


@pytest.mark.parametrize(
    ("settings", "keys"),
    [
        ({}, []),
        ({"jaegerMemoryMiB": 7821, "collectorMemoryMiB": 7821}, []),
        ({"jaegerMemoryMiB": 7822}, ["jaegerMemoryMiB"]),
        ({"collectorMemoryMiB": 8192}, ["collectorMemoryMiB"]),
        (OWN, ["openSearchMemoryMiB"]),
        (OWN | {"openSearchHeapMiB": 15_000}, ["openSearchMemoryMiB", "openSearchHeapMiB"]),
        (OWN | {"openSearchUrls": ["http://a.example:9200"]}, []),
        ({"traceStore": "none", "jaegerMemoryMiB": 65_536}, []),
    ],
)
def test_more_than_the_machine_has_is_refused(settings: dict[str, Any], keys: list[str]) -> None:
    if settings.get("traceStore") == "none":
        settings = {**settings, "exporters": [{"endpoint": "team.example:4317"}]}
    found = memory_limits.refuse(parsed(**settings), MACHINE)
    assert [problem.key for problem in found] == keys
    assert memory_limits.refuse(parsed(**settings), Observation()) == [], "it is not known"


def test_both_numbers_are_told() -> None:
    (found,) = memory_limits.refuse(parsed(jaegerMemoryMiB=8192), MACHINE)
    assert str(found) == (
        "jaegerMemoryMiB: 8192 MiB cannot be used: Docker's machine has 7821 MiB of memory. "
        "Set it to less than that"
    )
