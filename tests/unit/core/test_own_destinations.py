"""A destination that is the stack's own collector or Jaeger, under whichever name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from runtime_observability.core import own_destinations
from runtime_observability.core.naming import Names
from runtime_observability.core.observation import Observation
from tests.configuration import parsed

NAMES = Names("dev", Path("/home/ada/project"))
OBSERVED = Observation(
    reached_as={
        "traced-dev-collector": frozenset({"172.20.0.3", "fd00::3", "0123456789ab"}),
        "traced-dev-jaeger": frozenset({"172.20.0.4"}),
    }
)
WITHOUT: dict[str, Any] = {"traceStore": "none"}


def refused(host: str, observed: Observation = OBSERVED, **settings: Any) -> str:
    exporters = [{"name": "team", "endpoint": f"{host}:4317", "tls": {"insecure": True}}]
    of = parsed(exporters=exporters, **settings)
    found = own_destinations.refuse(of, NAMES, observed)
    return "".join(map(str, found))


@pytest.mark.parametrize(
    "host",
    [
        "traced-dev-collector",
        "Traced-Dev-Collector.",
        "traced-dev-collector.traced-dev",
        "otel-collector.traced-dev",
        "0123456789ab",
        "172.20.0.3",
        "[::ffff:172.20.0.3]",
        "[fd00:0::3]",
    ],
)
def test_the_collector_is_refused(host: str) -> None:
    either: tuple[dict[str, Any], ...] = ({}, WITHOUT)
    for settings in either:
        assert refused(host, **settings) == (
            f'exporters.0.endpoint: "{host}:4317" cannot be used: it is the '
            "stack's own collector, which would send to itself. Name another destination"
        )


@pytest.mark.parametrize("host", ["jaeger", "traced-dev-jaeger", "172.20.0.4"])
def test_its_jaeger_is_refused_where_there_is_one(host: str) -> None:
    assert "the stack's own Jaeger, which would have every span twice" in refused(host)
    # A Jaeger of somebody's own may have that name there.
    assert refused("jaeger", Observation(), **WITHOUT) == ""


@pytest.mark.parametrize("host", ["traced-dev-2-collector", "172.20.0.5", "team.traced-dev"])
def test_a_neighbour_is_not(host: str) -> None:
    assert refused(host) == ""


def test_over_http_it_is_the_same() -> None:
    exporters = [{"protocol": "http", "endpoint": "http://traced-dev-collector:4318"}]
    (found,) = own_destinations.refuse(parsed(exporters=exporters), NAMES, Observation())
    assert found.key == "exporters.0.endpoint"
