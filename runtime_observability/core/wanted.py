"""What a stack takes of the machine: host.preflight compares it with what is there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from runtime_observability.core import stores
from runtime_observability.core.naming import Names
from runtime_observability.core.settings.model import Settings


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Without any values: a stack with Jaeger that takes no port."""

    host_ports: Mapping[str, int] = field(default_factory=dict)
    """Every TCP port on 127.0.0.1, by the key or entry that names it."""
    host_udp_ports: Mapping[str, int] = field(default_factory=dict)
    port_offset: int = 0
    """By which the ports have been moved."""
    registries: tuple[str, ...] = ()
    """The entries of registries.use."""
    node_volumes: tuple[str, ...] = ()
    """The entries of nodeVolumes."""
    servers: int = 0
    agents: int = 0
    volumes: tuple[str, ...] = ()
    """The names of those in which its containers keep what outlives them."""
    jaeger: bool = True
    open_search: bool = False
    """Whether it makes an OpenSearch of its own."""
    retention: bool = False
    """Whether it has a container that deletes old indices."""
    exporters: bool = False
    """Whether the collector sends traces elsewhere too."""

    @classmethod
    def of(cls, settings: Settings, names: Names) -> Wanted:
        return cls(
            host_ports=settings.host_ports,
            host_udp_ports=settings.host_udp_ports,
            port_offset=settings.port_offset,
            registries=tuple(settings.registries.use),
            node_volumes=tuple(settings.node_volumes),
            servers=settings.servers,
            agents=settings.agents,
            volumes=_volumes(settings, names),
            jaeger=settings.has_jaeger,
            open_search=settings.has_own_open_search,
            retention=bool(settings.store_urls),
            exporters=bool(settings.exporters),
        )

    def containers(self, names: Names) -> list[str]:
        """Those that Jaeger's store needs beside Jaeger, the nodes, and k3d's tools container."""
        return [
            *([names.open_search] * self.open_search),
            *([names.retention] * self.retention),
            *self.nodes(names),
            names.tools,
        ]

    def nodes(self, names: Names) -> tuple[str, ...]:
        """The names of the cluster's nodes, the first server first."""
        servers = (names.node("server", index) for index in range(self.servers))
        return *servers, *(names.node("agent", index) for index in range(self.agents))


def _volumes(settings: Settings, names: Names) -> tuple[str, ...]:
    wanted = {
        names.traces: settings.trace_store == stores.BADGER,
        names.open_search_traces: settings.has_own_open_search,
        names.queues: settings.has_disk_queues,
    }
    return tuple(name for name, is_wanted in wanted.items() if is_wanted)
