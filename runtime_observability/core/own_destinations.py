"""Destinations that are the stack's own Jaeger or collector under another name. Pure."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterator

from runtime_observability.core import naming
from runtime_observability.core.naming import Names
from runtime_observability.core.observation import Observation
from runtime_observability.core.problem import Problem
from runtime_observability.core.settings.model import Settings


def refuse(settings: Settings, names: Names, observed: Observation) -> list[Problem]:
    """The collector would send to itself without an end, and to Jaeger everything twice."""
    own = dict(_own(settings, names, observed))
    return [
        Problem(
            f"exporters.{number}.endpoint",
            f"{json.dumps(exporter.endpoint)} cannot be used",
            own[host],
            "name another destination",
        )
        for number, exporter in enumerate(settings.exporters)
        if (host := _plain(str(exporter.address.hostname))) in own
    ]


def _own(settings: Settings, names: Names, observed: Observation) -> Iterator[tuple[str, str]]:
    """Each name and address of the two, and what would be wrong with it.

    Docker's DNS knows each name with that of its network behind it, too.
    """
    containers = [
        (
            names.collector,
            naming.COLLECTOR_ALIAS,
            "it is the stack's own collector, which would send to itself",
        )
    ]
    if settings.has_jaeger:
        wrong = "it is the stack's own Jaeger, which would have every span twice"
        containers.append((names.jaeger, naming.JAEGER_ALIAS, wrong))
    for container, alias, why in containers:
        for name in (container, alias, *observed.reached_as.get(container, ())):
            yield _plain(name), why
            yield f"{name}.{names.network}", why


def _plain(host: str) -> str:
    """One text for every way to write an address or a name."""
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return host.lower().rstrip(".")
    return str(getattr(address, "ipv4_mapped", None) or address)
