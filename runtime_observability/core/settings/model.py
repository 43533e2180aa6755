"""The stack's configuration as one frozen, validated model. Pulumi.yaml has units and meanings.

Every key has its default here too, for programs that have no Pulumi.yaml of this project (a test
holds the two together).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from runtime_observability.core import compatibility, presets, support
from runtime_observability.core.compatibility import ContainerdPlan, ContainerdTracing
from runtime_observability.core.settings.exporter import Exporter
from runtime_observability.core.settings.values import (
    Agents,
    CassandraServer,
    Duration,
    Image,
    K3sArgument,
    NodeEnvironment,
    NodeVolume,
    Origin,
    PerMillion,
    Port,
    PublishedPort,
    QueryUrl,
    Registry,
    RegistryConfiguration,
    RegistryMirror,
    Release,
    Retention,
    Servers,
    StackOwner,
    StoreCertificates,
    StorePassword,
    StoreUrl,
    StoreUser,
    VersionedImage,
    host_port,
    since,
)
from runtime_observability.core.stores import (
    AS_THE_CLUSTER_HAS,
    CASSANDRA,
    ELASTICSEARCH,
    NONE,
    OPENSEARCH,
    OWN_LABEL,
    OWN_URL,
    SEARCH_ENGINES,
    TraceStore,
)
from runtime_observability.core.versions import Version

CLUSTER_KEYS = (
    "k3sVersion",
    "k3sImage",
    "servers",
    "agents",
    "apiserverSamplingPerMillion",
    "nodeSamplingPerMillion",
    "containerdTracing",
    "containerdBinary",
    "etcdTracing",
    "kubeApiPort",
    "k3sArgs",
    "publishedPorts",
    "nodeEnvironment",
    "nodeVolumes",
    "registryMirror",
    "registries",
)
"""The keys whose change changes the cluster's nodes, as Pulumi.yaml says (a test holds them
together)."""


def _key(field: str) -> str:
    """``k3s_version`` as in Pulumi.yaml: k3sVersion, where Pydantic's to_camel says k3SVersion."""
    return re.sub(r"_(.)", lambda match: match[1].upper(), field)


MOST_PORT_OFFSET = 40_000
JAEGER_PORT = "jaegerUiPort"
"""The port that a stack without a Jaeger does not take."""
LEAST_HEAP_MIB = 256
"""Of a stack's own OpenSearch."""


class _Model(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=_key, arbitrary_types_allowed=True
    )


class Registries(_Model):
    """Registries as k3d's configuration names them.

    ``create`` is left out: a registry made by k3d would belong to no stack, and nothing would
    remove it.
    """

    use: tuple[Registry, ...] = ()
    config: RegistryConfiguration = ""


@dataclass(frozen=True)
class Images:
    """What runs: the user's images, else the official ones of the configured versions.

    Where there is a mirror, the official ones come from it.
    """

    jaeger: str
    collector: str
    nodes: str
    open_search: str


class Settings(_Model):
    """One stack's configuration."""

    k3s_version: Annotated[
        Release,
        since(compatibility.OLDEST_K3S, "earlier releases do not trace without feature gates"),
    ] = support.DEFAULT_K3S
    jaeger_version: Annotated[
        Release,
        since(compatibility.OLDEST_JAEGER, "earlier releases do not receive OTLP"),
    ] = support.DEFAULT_JAEGER
    collector_version: Annotated[
        Release,
        since(compatibility.OLDEST_COLLECTOR, "earlier releases were not checked"),
    ] = support.DEFAULT_COLLECTOR
    servers: Servers = 1
    agents: Agents = 0

    apiserver_sampling_per_million: PerMillion = 1_000_000
    node_sampling_per_million: PerMillion = 1_000_000
    collector_sampling_per_million: PerMillion = 1_000_000
    tracing: presets.Preset = "everything"
    slower_than: Duration = "1s"
    containerd_tracing: ContainerdTracing = "auto"
    containerd_binary: str = ""
    etcd_tracing: bool = False

    port_offset: Annotated[int, Field(ge=0, le=MOST_PORT_OFFSET)] = 0
    jaeger_ui_port: Port = 16686
    otlp_grpc_port: Port = 4317
    otlp_http_port: Port = 4318
    kube_api_port: Port = 6550
    collector_health_port: Port = 13133
    collector_metrics_port: Port = 8888

    jaeger_image: VersionedImage = ""
    collector_image: VersionedImage = ""
    k3s_image: VersionedImage = ""
    k3d_tools_image: Image = ""
    curl_image: Image = ""

    k3s_args: tuple[K3sArgument, ...] = ()
    published_ports: tuple[PublishedPort, ...] = ()
    node_environment: NodeEnvironment = {}
    node_volumes: tuple[NodeVolume, ...] = ()
    registry_mirror: RegistryMirror = ""
    registries: Registries = Registries()

    exporters: tuple[Exporter, ...] = ()
    allowed_origins: tuple[Origin, ...] = ()
    stack_owner: StackOwner = ""

    trace_store: TraceStore = "memory"
    query_url: QueryUrl = ""
    trace_retention: Retention = "48h"
    keep_traces: bool = False
    open_search_urls: tuple[StoreUrl, ...] = ()
    elasticsearch_urls: tuple[StoreUrl, ...] = ()
    cassandra_servers: tuple[CassandraServer, ...] = ()
    trace_store_user: StoreUser = ""
    trace_store_password: StorePassword = ""
    trace_store_ca_file: StoreCertificates = ""
    trace_store_replicas: Annotated[int, Field(ge=AS_THE_CLUSTER_HAS, le=5)] = AS_THE_CLUSTER_HAS
    trace_store_shards: Annotated[int, Field(ge=1, le=100)] = 1
    open_search_version: Annotated[
        Release,
        since(compatibility.OLDEST_OPENSEARCH, "earlier releases were not checked"),
    ] = support.DEFAULT_OPENSEARCH
    open_search_image: VersionedImage = ""
    open_search_heap_mib: Annotated[
        int, Field(ge=LEAST_HEAP_MIB, le=31_744, alias="openSearchHeapMiB")
    ] = 512
    open_search_memory_mib: Annotated[
        int, Field(ge=512, le=65_536, alias="openSearchMemoryMiB")
    ] = 1536
    jaeger_max_traces: Annotated[int, Field(ge=1_000, le=1_000_000)] = 50_000
    jaeger_memory_mib: Annotated[int, Field(ge=128, le=65_536, alias="jaegerMemoryMiB")] = 1024
    collector_memory_mib: Annotated[int, Field(ge=64, le=65_536, alias="collectorMemoryMiB")] = 256

    rehearse_replacement: bool = True
    trace_probe: bool = True
    probe_timeout_seconds: Annotated[int, Field(ge=10, le=600)] = 60
    probe_image: Image = ""

    _secret_keys: frozenset[str] = frozenset()

    def keeping_secret(self, keys: Collection[str]) -> Settings:
        """The same settings, of which those of ``keys`` are never shown."""
        kept = self.model_copy()
        kept._secret_keys = frozenset(keys)
        return kept

    def having(self, exporters: tuple[Exporter, ...], store_certificates: str) -> Settings:
        """The same settings with these texts, which may be secret as before."""
        texts = {"exporters": exporters, "trace_store_ca_file": store_certificates}
        return self.model_copy(update=texts)

    def is_set(self, key: str) -> bool:
        """Pulumi passes on a default and the same value set by hand alike."""
        (name,) = (name for name, field in type(self).model_fields.items() if field.alias == key)
        return bool(getattr(self, name) != type(self).model_fields[name].default)

    @property
    def secret_keys(self) -> frozenset[str]:
        """Keys whose values Pulumi keeps secret; no message has them."""
        return self._secret_keys

    @property
    def has_jaeger(self) -> bool:
        """Whether a Jaeger is part of the stack."""
        return self.trace_store != NONE

    @property
    def has_own_open_search(self) -> bool:
        """Whether the stack makes the OpenSearch in which Jaeger keeps traces."""
        return self.trace_store == OPENSEARCH and not self.open_search_urls

    @property
    def store_label(self) -> str:
        """The store as Jaeger's label and messages name it."""
        return OWN_LABEL if self.has_own_open_search else self.trace_store

    @property
    def store_urls(self) -> tuple[str, ...]:
        """Of the search engine in which Jaeger keeps traces; empty where it uses none."""
        if self.has_own_open_search:
            return (OWN_URL,)
        return self.store_servers if self.trace_store in SEARCH_ENGINES else ()

    @property
    def store_servers(self) -> tuple[str, ...]:
        """Of the cluster in which Jaeger keeps traces; empty where that is part of the stack."""
        servers = {
            OPENSEARCH: self.open_search_urls,
            ELASTICSEARCH: self.elasticsearch_urls,
            CASSANDRA: self.cassandra_servers,
        }
        return servers.get(self.trace_store, ())

    @property
    def images(self) -> Images:
        def chosen(own: str, version: Version, official: Callable[[Version], str]) -> str:
            own_image = own.replace("{version}", version.tag)
            return own_image or compatibility.mirrored(official(version), self.registry_mirror)

        return Images(
            jaeger=chosen(self.jaeger_image, self.jaeger_version, compatibility.jaeger_image),
            collector=chosen(
                self.collector_image,
                self.collector_version,
                compatibility.contrib_collector_image
                if self.needs_contrib
                else compatibility.collector_image,
            ),
            nodes=chosen(self.k3s_image, self.k3s_version, compatibility.k3s_image),
            open_search=chosen(
                self.open_search_image,
                self.open_search_version,
                compatibility.open_search_image,
            ),
        )

    @property
    def preset(self) -> presets.Choice:
        return presets.Choice(self.tracing, presets.milliseconds(self.slower_than) or 0)

    @property
    def has_disk_queues(self) -> bool:
        return any(each.queue == "disk" for each in self.exporters)

    @property
    def needs_contrib(self) -> bool:
        """Whether the collector needs a component that its core distribution does not have."""
        return self.preset.needs_tail_sampling or self.has_disk_queues

    @property
    def tools_image(self) -> str:
        """The image of k3d's tools container; empty for the one that k3d uses by itself."""
        if self.k3d_tools_image or not self.registry_mirror:
            return self.k3d_tools_image
        return compatibility.mirrored(compatibility.K3D_TOOLS_IMAGE, self.registry_mirror)

    @property
    def client_image(self) -> str:
        """The image of the container that asks a search engine."""
        official = compatibility.mirrored(compatibility.CURL_IMAGE, self.registry_mirror)
        return self.curl_image or official

    @property
    def containerd_plan(self) -> ContainerdPlan:
        return compatibility.containerd_plan(
            self.containerd_tracing, self.k3s_version, self.containerd_binary
        )

    @property
    def of_cluster(self) -> dict[str, Any]:
        """The values of ``CLUSTER_KEYS`` as JSON; ``auto`` is resolved to the mode it selects."""
        values = self.model_dump(by_alias=True)
        plan = self.containerd_plan
        mode = "upstream" if plan.upstream else "image" if plan.traced else "off"
        values |= {"k3sVersion": f"v{self.k3s_version}", "containerdTracing": mode}
        chosen: dict[str, Any] = json.loads(json.dumps({key: values[key] for key in CLUSTER_KEYS}))
        return chosen

    @property
    def ports(self) -> dict[str, int]:
        """The stack's ports by key, each on 127.0.0.1."""
        values = self.model_dump(by_alias=True)
        return {key: values[key] for key in PORT_DEFAULTS if self.has_jaeger or key != JAEGER_PORT}

    @property
    def host_ports(self) -> dict[str, int]:
        """Every TCP port that the stack takes on 127.0.0.1, by the key or entry that names it."""
        return self.ports | self._published("tcp")

    @property
    def host_udp_ports(self) -> dict[str, int]:
        """Every UDP port that the stack takes on 127.0.0.1, by the entry that names it."""
        return self._published("udp")

    def _published(self, protocol: str) -> dict[str, int]:
        published = {published_key(entry): host_port(entry) for entry in self.published_ports}
        return {key: port[0] for key, port in published.items() if port and port[1] == protocol}


def published_key(entry: str) -> str:
    """How an entry of publishedPorts is named in a message."""
    return f"publishedPorts {entry!r}"


PORT_DEFAULTS: dict[str, int] = {
    str(field.alias): field.default
    for name, field in Settings.model_fields.items()
    if name.endswith("_port")
}
"""The ports that ``portOffset`` moves, with their defaults."""
