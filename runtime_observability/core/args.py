"""The Args of each component: plain, frozen values that the plan makes.

Outputs of other resources are not values yet: a component takes those beside its Args.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from runtime_observability.core.cluster_spec import ClusterSpec, with_labels
from runtime_observability.core.node_image import UpstreamImage

USER = 10001
"""Of Jaeger and the collector, in the official images too."""


@dataclass(frozen=True)
class StackGuardArgs:
    stack: str
    owner: str
    cluster: str
    standing: str
    """The same, if it may have workloads; empty if it has never been complete."""
    rehearsal: str
    """The cluster in which a replacement is rehearsed."""
    directory: str
    """The stack's own folder, removed with it."""
    claim: str
    """Written into the folder before anything is created: whose it is."""
    kept_volumes: tuple[str, ...]
    """Names of the volumes that stay when the stack goes."""
    kept_elsewhere: str = ""
    """What stays outside Docker when the stack goes, and how to remove it; empty: nothing."""


@dataclass(frozen=True)
class StackNetworkArgs:
    name: str
    owner: str
    labels: Mapping[str, str]
    cluster: str
    """The cluster on it that may have workloads; empty if it has never been complete."""


@dataclass(frozen=True)
class VolumeArgs:
    """A Docker volume that outlives the container which it is mounted in."""

    name: str
    path: str
    """Where it is mounted."""
    folders: tuple[str, ...]
    """What the container's user needs in it."""
    user: int
    """The container's user, whose the volume and its folders are."""
    labels: Mapping[str, str]
    owner: str
    keep: bool
    """Whether it stays when the stack goes."""


@dataclass(frozen=True)
class ContainerArgs:
    """A container of the stack, on its network; ``ports`` maps 127.0.0.1's to the container's."""

    name: str
    image: str
    alias: str
    """Its name on the stack's network."""
    owner: str
    labels: Mapping[str, str]
    command: tuple[str, ...]
    uploads: Mapping[str, str]
    """Contents of files in the container, by path."""
    secret_uploads: Mapping[str, str]
    """More of them, which nobody may read in Pulumi's state or in a plan."""
    ports: Mapping[int, int]
    memory_mib: int
    limits_swap: bool
    """Whether the daemon can limit swap (host.docker.Daemon)."""
    environment: Mapping[str, str]
    ready_url: str
    """Answers 200 on the host once the container serves; empty where it publishes no port."""
    stop_seconds: int
    """How long it may take to end before it is killed."""
    volume: VolumeArgs | None = None
    user: int = USER
    ready_command: tuple[str, ...] = ()
    """Ends with 0 in the container once it serves, in place of ``ready_url``."""
    ready_seconds: int = 60
    """How long it may take to serve."""
    is_go: bool = True
    """Whether its program is written in Go, whose heap keeps to a limit that it is told."""
    entrypoint: tuple[str, ...] = ()
    """Its program, where that is not the image's."""
    note: str = ""
    """Path of the file that has its id once it serves; empty: none."""

    @property
    def variables(self) -> dict[str, str]:
        """Its whole environment: Go's heap stays below the container's limit."""
        limit = {"GOMEMLIMIT": f"{self.memory_mib * 4 // 5}MiB"} if self.is_go else {}
        return limit | dict(self.environment)


@dataclass(frozen=True)
class SearchEngineArgs:
    """An OpenSearch or Elasticsearch in which Jaeger keeps traces."""

    stack: str
    is_own: bool
    """Whether it is the stack's own, whose volume goes with the stack."""
    store: str
    urls: tuple[str, ...]
    user: str
    password: str = field(repr=False)
    certificates: str = field(repr=False)
    """PEM; empty: the public ones."""
    image: str
    """Of curl."""
    owner: str
    prefix: str
    """Of the stack's own indices and templates: it touches no others."""
    days: int
    """How long an index is kept."""
    shards: int
    """Of each index."""
    replicas: int
    """Negative: what the cluster has nodes for."""
    keep: bool
    """Whether the indices stay when the stack goes."""
    jaeger: str
    """Jaeger's release."""
    of_container: str
    """Identifies what Jaeger's container is made of: the cluster is checked before another."""


@dataclass(frozen=True)
class CassandraArgs:
    """A Cassandra in which Jaeger keeps traces."""

    servers: tuple[str, ...]
    user: str
    password: str = field(repr=False)
    keyspace: str


@dataclass(frozen=True)
class JaegerArgs:
    container: ContainerArgs
    url: str
    """Of Jaeger's page and query API on the host."""
    search_engine: SearchEngineArgs | None = None
    cassandra: CassandraArgs | None = None


@dataclass(frozen=True)
class OpenSearchArgs:
    container: ContainerArgs


@dataclass(frozen=True)
class RetentionArgs:
    container: ContainerArgs


@dataclass(frozen=True)
class CollectorArgs:
    container: ContainerArgs
    grpc_endpoint: str
    http_endpoint: str
    in_cluster_endpoint: str
    """For a pod's own spans: pods resolve the alias through their node."""


@dataclass(frozen=True)
class NodeImageArgs:
    image: str
    upstream: UpstreamImage | None
    """What ``image`` is built from; None where it is pulled."""
    generation: int


@dataclass(frozen=True)
class ConfigFilesArgs:
    directory: str
    files: Mapping[str, str]
    """Contents by name."""
    generation: int


@dataclass(frozen=True)
class ClusterGuardArgs:
    owner: str
    cluster: str
    directory: str
    digest: str
    """Of what the nodes were created from: another one is another cluster."""
    standing: str
    """That of the cluster that stands; empty: there is none."""
    generation: int


@dataclass(frozen=True)
class ClusterRehearsalArgs:
    stack: str
    folder: str
    state_folder: str
    cluster: str
    spec: ClusterSpec
    digest: str
    """A standing cluster with another one is replaced."""
    files: Mapping[str, str]
    """Contents of the node-side files by name."""
    on: bool
    """Off: the cluster is replaced without a rehearsal, as the user wants it."""


@dataclass(frozen=True)
class TracedClusterArgs:
    stack: str
    folder: str
    state_folder: str
    kubeconfig: str
    spec: ClusterSpec
    digest: str
    """Of what the nodes were created from."""
    labels: Mapping[str, str]
    """Docker labels of every node."""
    generation: int

    @property
    def k3d_config(self) -> dict[str, Any]:
        """k3d's whole configuration, as ensure gives it to k3d."""
        return with_labels(self.spec.config, self.labels)


@dataclass(frozen=True)
class TraceProbeArgs:
    """Components as Jaeger names their services."""

    jaeger_url: str
    """Empty: no Jaeger can be asked."""
    metrics_url: str
    """Of the collector's counters, where the stack has no Jaeger of its own; else empty."""
    destinations: tuple[str, ...]
    """Some of them must take spans, where no Jaeger can be asked."""
    stack: Mapping[str, str]
    """The resource attributes that name the stack, where its Jaeger may have others' spans too."""
    kubeconfig: str
    image: str
    seconds: int
    demanded: tuple[str, ...]
    """Spans of the probe's own pod must be found."""
    expected: tuple[str, ...]
    """Some span must be found."""
    k3s_version: str
    content: str
    """Of the files that the nodes have started with: after a restart they are proved again."""
    report: str
    """Path of the file that keeps what was found."""
    generation: int
