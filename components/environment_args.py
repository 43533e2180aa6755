"""TracedEnvironmentArgs: the configuration of one environment, typed.

The annotations are the schema of the component for other languages, so they are evaluated: no
``from __future__ import annotations`` here.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from pydantic.alias_generators import to_camel

from runtime_observability.core.settings.model import Settings
from runtime_observability.core.settings.store_rules import CREDENTIAL


@dataclass(frozen=True, kw_only=True)
class RegistriesArgs:
    """Registries for the nodes, as in k3d's configuration."""

    use: list[str] | None = None
    """Registries of k3d that the nodes use, as NAME or NAME:PORT."""
    config: str | None = None
    """The text of a registries.yaml without logins."""


@dataclass(frozen=True, kw_only=True)
class ExporterTlsArgs:
    """How a connection to a destination is encrypted. A path or the text of a PEM file each."""

    ca_file: str | None = None
    """Certificates that the destination's is verified with, instead of the public ones."""
    client_cert: str | None = None
    """The collector's own certificate."""
    client_key: str | None = None
    """The key of client_cert."""
    insecure: bool | None = None
    """Whether nothing is encrypted."""


@dataclass(frozen=True, kw_only=True)
class ExporterArgs:
    """An OTLP destination beside Jaeger."""

    endpoint: str
    """HOST:PORT for grpc, and a URL for http."""
    name: str | None = None
    """Its name in messages and in ktrace verify. Default: made of the endpoint's host."""
    protocol: str | None = None
    """grpc or http. Default: grpc."""
    headers: dict[str, str] | None = None
    """Sent with every request; the values are kept secret."""
    tls: ExporterTlsArgs | None = None
    """How the connection is encrypted. Default: TLS with public certificates, or what the scheme
    of the URL says."""
    compression: str | None = None
    """gzip, zstd, snappy or none. Default: gzip."""
    signals: list[str] | None = None
    """Of traces, metrics and logs those that are sent. Default: traces."""
    only: list[str] | None = None
    """Of apiserver, kubelet, containerd and etcd those that are sent. Default: everything."""
    sampling_per_million: int | None = None
    """How many of a million traces are sent. Default: all."""
    queue: str | None = None
    """memory, or disk: then what waits there outlives the collector. Default: memory."""


@dataclass(frozen=True, kw_only=True)
class TracedEnvironmentArgs:
    """What is not set has the default of its key in Pulumi.yaml.

    Values are plain, never Outputs: they decide which resources there are.
    """

    stack: str | None = None
    """Name of the environment: its containers and its cluster are named after it. Two in one
    program need two names. Default: the Pulumi stack's name."""
    folder: str | None = None
    """Absolute path of the project folder: with the name, the owner of what is in Docker. Default:
    the folder in which the program runs."""
    state_folder: str | None = None
    """Absolute path of the folder for the kubeconfig and the generated files of every environment,
    in a folder of its own each. Default: .stacks in the project folder."""

    k3s_version: str | None = None
    """k3s release of all nodes, written as its image tag (vMAJOR.MINOR.PATCH-k3sN, v1.27.1 or
    newer). The nodes' files are generated for it. A change replaces the cluster."""
    jaeger_version: str | None = None
    """Jaeger release (MAJOR.MINOR.PATCH, 1.35.0 or newer). Jaeger's configuration is generated for
    it."""
    collector_version: str | None = None
    """OpenTelemetry Collector release (MAJOR.MINOR.PATCH, 0.54.0 or newer). The collector's
    configuration is generated for it."""
    servers: int | None = None
    """Number of control-plane nodes, 1 to 5: an odd number; three or five have embedded etcd. A
    change replaces the cluster."""
    agents: int | None = None
    """Number of worker nodes, 0 to 10. A change adds nodes, or drains and removes them."""
    apiserver_sampling_per_million: int | None = None
    """How many of a million requests to the API server are traced (0 to 1000000). A change restarts
    the nodes one after the other, unless etcdTracing is on: then it replaces the cluster."""
    node_sampling_per_million: int | None = None
    """How many of a million traces that start in the kubelet or containerd are kept (0 to 1000000);
    containerd follows the kubelet's decision, so a trace of both is kept or dropped as a whole. A
    change restarts the nodes one after the other; what containerd does on its own keeps the share
    that it was created with."""
    collector_sampling_per_million: int | None = None
    """How many of a million traces the collector forwards to Jaeger (0 to 1000000). A change
    replaces only the collector, not the cluster: tune the sampling here."""
    tracing: str | None = None
    """Which traces the collector forwards to Jaeger, each whole or not at all. everything; quiet:
    without health checks, leases, events, reads and watches of system components, and rounds of the
    kubelet in which nothing happened; starts: pod starts and the requests that caused them;
    errors-and-slow: with an error or a span that took longer than slowerThan. All but everything
    need the collector's contrib distribution, which is then used. A change replaces only the
    collector."""
    slower_than: str | None = None
    """How long a span takes at most that tracing: errors-and-slow does not keep, as a number and
    ms, s or m (1ms to 10m)."""
    containerd_tracing: str | None = None
    """auto: the k3s image's own containerd if it can trace (v1.27.1), otherwise upstream; upstream:
    a node image with an upstream containerd is built; image: the k3s image's own containerd, which
    must be able to trace; off: containerd is not traced. up fails if containerd should be traced
    and sends no spans. A change replaces the cluster."""
    containerd_binary: str | None = None
    """Path of a static containerd binary to use as the upstream containerd. Empty: the pinned
    official release. A change replaces the cluster."""
    etcd_tracing: bool | None = None
    """Whether the embedded etcd of three or more servers is traced, as service etcd (k3s v1.31 or
    newer). A change replaces the cluster."""
    port_offset: int | None = None
    """Added to every port below that has its default value, so that a second stack needs only this
    key (0 to 40000)."""
    jaeger_ui_port: int | None = None
    """TCP port on 127.0.0.1 of Jaeger's web UI and query API (1024 to 65535)."""
    otlp_grpc_port: int | None = None
    """TCP port on 127.0.0.1 of the collector's OTLP gRPC receiver (1024 to 65535)."""
    otlp_http_port: int | None = None
    """TCP port on 127.0.0.1 of the collector's OTLP HTTP receiver (1024 to 65535)."""
    kube_api_port: int | None = None
    """TCP port on 127.0.0.1 of the Kubernetes API (1024 to 65535). A change replaces the
    cluster."""
    collector_health_port: int | None = None
    """TCP port on 127.0.0.1 of the collector's health check (1024 to 65535)."""
    collector_metrics_port: int | None = None
    """TCP port on 127.0.0.1 of the collector's own Prometheus metrics (1024 to 65535)."""
    jaeger_image: str | None = None
    """Image of Jaeger, with a tag or digest; {version} stands for jaegerVersion. Empty: the
    official image of jaegerVersion."""
    collector_image: str | None = None
    """Image of the collector, with a tag or digest; {version} stands for collectorVersion. Empty:
    the official image of collectorVersion, core or contrib as tracing needs."""
    k3s_image: str | None = None
    """Image of the nodes, with a tag or digest; {version} stands for k3sVersion. Empty: the
    official image of k3sVersion. A change replaces the cluster."""
    k3d_tools_image: str | None = None
    """Image of k3d's tools container, with a tag or digest. Empty: k3d's default."""
    curl_image: str | None = None
    """Image of curl, with a tag or digest, which asks OpenSearch or Elasticsearch from the stack's
    network and deletes old indices there, with sh, sed and date beside it. Empty: the official
    image."""
    registry_mirror: str | None = None
    """Registry that has the official images below their names, as HOST[:PORT][/PATH]: rancher/k3s
    is then HOST/PATH/rancher/k3s. The nodes pull images of Docker Hub from it too, over https,
    unless registries.config is set or nodeVolumes have their registries.yaml. Empty: Docker Hub
    and ghcr.io. A change replaces the cluster."""
    k3s_args: list[str] | None = None
    """Arguments for k3s in k3d's syntax: ARG@NODEFILTER, for instance --disable=traefik@server:*. A
    change replaces the cluster."""
    published_ports: list[str] | None = None
    """Ports of the first server published on 127.0.0.1: HOSTPORT:NODEPORT[/tcp|/udp], for instance
    8080:80. A change replaces the cluster."""
    node_environment: dict[str, str] | None = None
    """Environment of every node, for instance HTTPS_PROXY: with a proxy, NO_PROXY gets the
    cluster's own names and private addresses by itself. A change replaces the cluster."""
    node_volumes: list[str] | None = None
    """Files and folders of this machine in every node: SOURCE:TARGET[:ro], SOURCE absolute or below
    the project's folder, for instance certificates/company.pem:/etc/ssl/certs/company.pem:ro. A
    change replaces the cluster."""
    registries: RegistriesArgs | None = None
    """Registries of the nodes, as in k3d's configuration: use (list of NAME:PORT), config (text of
    a registries.yaml without logins). A change of config restarts the nodes one after the
    other, if none is in use; any other replaces the cluster."""
    exporters: list[ExporterArgs] | None = None
    """Further OTLP destinations of what the collector receives: endpoint, name, protocol (grpc,
    http), headers (kept secret), tls (caFile, clientCert, clientKey, insecure), compression,
    signals (traces, metrics, logs), only (apiserver, kubelet, containerd, etcd),
    samplingPerMillion, queue (memory, disk); docs/destinations.md has examples. None of them costs
    Jaeger a span."""
    allowed_origins: list[str] | None = None
    """Origins of web pages that may send to the collector's OTLP HTTP receiver (CORS), for instance
    http://localhost:*."""
    stack_owner: str | None = None
    """Who has the stack, a person, a team or a CI job: the attribute runtime_observability.owner of
    everything that the collector passes on, so that one Jaeger can hold the traces of many stacks
    (up to 63 letters, digits and . _ / -). Empty: the digest that is on the stack's objects in
    Docker. A change replaces the collector."""
    trace_store: str | None = None
    """Where Jaeger keeps traces. memory: in its own memory, the newest jaegerMaxTraces, until it
    restarts; badger: in a Docker volume of the stack for traceRetention, also when Jaeger or the
    cluster is made again; opensearch: in an OpenSearch of the stack's own beside Jaeger, with a
    Docker volume, or in the cluster of openSearchUrls; elasticsearch, cassandra: in a cluster that
    exists; none: the stack has no Jaeger, and the collector sends to exporters alone. A change
    replaces Jaeger, not the cluster; the old store's traces go, unless keepTraces was on."""
    query_url: str | None = None
    """Address of the Jaeger that has what exporters send, or of another store with its query API,
    for traceStore: none: http:// or https://HOST[:PORT][/PATH] without a login. The probe and
    ktrace read traces there. Empty: they read none, and say what is not known."""
    trace_retention: str | None = None
    """How long badger or a cluster keeps a trace: hours or days, as 48h or 14d (1h to 365d); whole
    days for opensearch and elasticsearch, whose older indices (UTC) go within an hour, and of a
    cluster that exists as many as it takes, by default some 70. badger keeps each trace for as long
    as was set when it came, cassandra that of its first up. A change replaces Jaeger, which keeps
    its traces."""
    keep_traces: bool | None = None
    """Whether the volume of badger or of the stack's own opensearch, or the indices in a cluster of
    opensearch or elasticsearch, stay when the stack is destroyed or gets another store: the next up
    with that store finds their traces. cassandra's keyspace always stays. Run up once before
    destroy after a change."""
    open_search_urls: list[str] | None = None
    """Nodes of an existing cluster for traceStore opensearch, in place of one node of the stack's
    own, as containers reach them: http or https://HOST[:PORT]. Only indices and templates whose
    names begin with the stack's own prefix are made or deleted there."""
    elasticsearch_urls: list[str] | None = None
    """Nodes of the cluster of traceStore elasticsearch, as openSearchUrls."""
    cassandra_servers: list[str] | None = None
    """Nodes of the cluster of traceStore cassandra, as containers reach them: HOST, HOST:PORT or
    [IPv6]:PORT. Jaeger makes a keyspace of the stack's own there."""
    trace_store_user: str | None = None
    """User with which Jaeger logs in to openSearchUrls, elasticsearchUrls or cassandraServers.
    Empty: no login."""
    trace_store_password: str | None = None
    """Password of traceStoreUser, which must be a secret: pulumi config set --secret
    traceStorePassword."""
    trace_store_ca_file: str | None = None
    """Certificates that those of openSearchUrls, elasticsearchUrls or cassandraServers are verified
    with: the path of a PEM file, or its text. Empty: the public ones; cassandra uses TLS only with
    it."""
    trace_store_replicas: int | None = None
    """Copies of each index beside the first, or of each row in cassandra (-1 to 5); -1: one where
    the cluster has two nodes or more with data when Jaeger is made, none in cassandra."""
    trace_store_shards: int | None = None
    """Shards of each index of opensearch or elasticsearch (1 to 100); each day has two. A
    node of the stack's own has room for 900."""
    open_search_version: str | None = None
    """OpenSearch release of the stack's own node, which traceStore opensearch has without
    openSearchUrls; chooses the default image. A change replaces the node, which keeps its
    traces."""
    open_search_image: str | None = None
    """Image of that node; {version} stands for openSearchVersion. Empty: the official one of
    openSearchVersion."""
    open_search_heap_mib: int | None = None
    """Java heap of that node in MiB (256 to 31744). With half as much for buffers and 512 MiB for
    Java itself it must fit into openSearchMemoryMiB."""
    open_search_memory_mib: int | None = None
    """Memory limit of that node's container in MiB (512 to 65536)."""
    jaeger_max_traces: int | None = None
    """How many traces Jaeger keeps in memory; beyond that it drops the oldest (1000 to 1000000).
    They must fit into jaegerMemoryMiB; other stores ignore it."""
    jaeger_memory_mib: int | None = None
    """Memory limit of the Jaeger container in MiB (128 to 65536); badger needs 640."""
    collector_memory_mib: int | None = None
    """Memory limit of the collector container in MiB (64 to 65536)."""
    rehearse_replacement: bool | None = None
    """Whether a change that replaces the cluster, or its registries.config, is first seen to start
    beside it; only then is the old cluster changed."""
    trace_probe: bool | None = None
    """Whether up ends by starting a pod and waiting for its trace; without it up does not verify
    that everything is traced."""
    probe_timeout_seconds: int | None = None
    """Seconds within which the trace of the probe's pod must be in Jaeger (10 to 600)."""
    probe_image: str | None = None
    """Image of the probe's pod; it must start without arguments. Empty: the sandbox image, which
    every node already has."""

    @classmethod
    def of(cls, args: "TracedEnvironmentArgs | Mapping[str, Any]") -> "TracedEnvironmentArgs":
        """``args``; a program in another language gives a mapping (Pulumi's component host)."""
        return args if isinstance(args, TracedEnvironmentArgs) else cls(**args)

    @property
    def secret_keys(self) -> frozenset[str]:
        """Keys whose values Pulumi keeps secret: a plain argument has no mark, but a password is
        one whatever it comes from."""
        return frozenset({CREDENTIAL} if self.trace_store_password else ())

    @property
    def has_texts_to_hide(self) -> bool:
        """Whether a plan's details must not show what Commands read: a secret, or the text of a
        registries.yaml, which tells of a company's machines. No Command reads ``exporters``, and
        those that read the store's password hide it by themselves. Only for valid values."""
        registries = self.values().get("registries") or {}
        return bool(self.secret_keys - {"exporters", CREDENTIAL} or registries.get("config"))

    def values(self) -> dict[str, Any]:
        """What is set, keyed as in Pulumi.yaml; not validated."""
        keys = {name: field.alias for name, field in Settings.model_fields.items()}
        chosen = {field.name: getattr(self, field.name) for field in fields(self)}
        chosen["registries"] = _registries(self.registries)
        if self.exporters is not None:
            chosen["exporters"] = [_exporter(entry) for entry in self.exporters]
        return {
            str(keys[name]): value
            for name, value in chosen.items()
            if name in keys and value is not None
        }


def _registries(args: RegistriesArgs | Mapping[str, Any] | None) -> dict[str, Any] | None:
    if args is None:
        return None
    values = args if isinstance(args, Mapping) else asdict(args)
    return {name: value for name, value in values.items() if value is not None}


def _exporter(args: ExporterArgs | Mapping[str, Any]) -> dict[str, Any]:
    """Keyed as in Pulumi.yaml, without what is not set."""
    values: Mapping[str, Any] = args if isinstance(args, Mapping) else asdict(args)
    return {
        to_camel(name): _exporter(value) if name == "tls" and value else value
        for name, value in values.items()
        if value is not None
    }
