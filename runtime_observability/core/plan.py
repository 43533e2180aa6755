"""From the settings and the machine to the Args of every component.

Pure: the same settings on the same machine give the same plan, which ``pulumi up`` carries out and
``ktrace render`` shows.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

from runtime_observability.core import (
    advice,
    cassandra,
    compatibility,
    destinations,
    documents,
    links,
    naming,
    origin,
    stores,
    trace_store,
)
from runtime_observability.core.args import (
    USER,
    CassandraArgs,
    ClusterGuardArgs,
    ClusterRehearsalArgs,
    CollectorArgs,
    ConfigFilesArgs,
    ContainerArgs,
    JaegerArgs,
    NodeImageArgs,
    OpenSearchArgs,
    SearchEngineArgs,
    StackGuardArgs,
    StackNetworkArgs,
    TracedClusterArgs,
    TraceProbeArgs,
    VolumeArgs,
)
from runtime_observability.core.cluster_spec import ClusterSpec, cluster_spec
from runtime_observability.core.naming import Names
from runtime_observability.core.node_image import UpstreamImage
from runtime_observability.core.observation import Observation, Record
from runtime_observability.core.origin import Origin
from runtime_observability.core.settings.model import Settings
from runtime_observability.core.stores import BADGER, CASSANDRA
from runtime_observability.core.tracing import Tracing
from runtime_observability.core.transition import content, identity, transition

_JAEGER_CONFIG = "/etc/jaeger/config.yaml"
_COLLECTOR_CONFIG = "/etc/otelcol/config.yaml"
_STOP_SECONDS = 5
_STORE_STOP_SECONDS = 30
_OPENSEARCH_STOP_SECONDS = 60
"""Stopping took it up to 31 s (measured with 2.19.6 on a busy machine)."""
_OPENSEARCH_READY_SECONDS = 240
"""It starts in 15 to 40 s, and three times later on a busy machine."""


@dataclass(frozen=True)
class Plan:
    """One stack, decided before its first resource: the Args of each component, and what to say."""

    stack_guard: StackGuardArgs
    network: StackNetworkArgs
    open_search: OpenSearchArgs | None
    """The stack's own; None where its traces go elsewhere."""
    jaeger: JaegerArgs | None
    """None where the stack has no Jaeger."""
    collector: CollectorArgs
    node_image: NodeImageArgs
    rehearsal: ClusterRehearsalArgs | None
    files: ConfigFilesArgs
    cluster_guard: ClusterGuardArgs
    cluster: TracedClusterArgs
    probe: TraceProbeArgs | None
    cluster_waits_for_ports: bool
    """The cluster takes a port that Jaeger or the collector has until it is replaced."""
    backends_wait_for_ports: bool
    """Jaeger or the collector takes a port that the cluster has until it is replaced."""
    cluster_name: str
    jaeger_url: str
    """Of the Jaeger that is queried; empty: there is none."""
    links: dict[str, str]
    resource_attributes: dict[str, str]
    """What the collector adds to everything, where its sender does not say otherwise."""
    trace_outputs: dict[str, str]
    """What `ktrace` has to know where Jaeger keeps traces elsewhere than in its memory, or does not
    get all of them, by the output's name."""
    warnings: tuple[str, ...]
    tracing: tuple[str, ...]
    """A line for each component: whether it will be traced, and why."""


def make_plan(
    settings: Settings, names: Names, observed: Observation, upstream: UpstreamImage | None
) -> Plan:
    """What ``settings`` mean on a machine as ``observed``.

    ``upstream`` is the image that is built for the nodes; None where they run one as it is.
    """
    files = documents.node_files(settings, cgroup_v1=observed.cgroup_v1)
    image = upstream.tag if upstream else settings.images.nodes
    spec = cluster_spec(settings, names, files, image)
    digest = _digest(spec, observed.record)
    marks = origin.of(names, settings.stack_owner)
    jaeger = _jaeger(settings, names, observed) if settings.has_jaeger else None
    jaeger_url = _jaeger_url(settings)
    collector = _collector(settings, names, observed, marks)
    tracing = Tracing(settings)
    standing = "" if observed.record and observed.record.never_complete else names.cluster
    of_backends = {*(jaeger.container.ports if jaeger else ()), *collector.container.ports}
    held_by_backends = _held(observed, names.jaeger, names.collector)
    held_by_nodes = _held(observed, *observed.record.nodes) if observed.record else set()
    return Plan(
        stack_guard=StackGuardArgs(
            names.stack,
            names.owner,
            names.cluster,
            standing,
            names.rehearsal,
            str(names.directory),
            names.claim,
            (names.traces, names.open_search_traces) if settings.keep_traces else (),
            kept_elsewhere=_kept_elsewhere(settings, names),
        ),
        network=StackNetworkArgs(
            names.network,
            names.owner,
            _labels(names, names.network, observed),
            standing,
        ),
        open_search=(
            _open_search(settings, names, observed) if settings.has_own_open_search else None
        ),
        jaeger=jaeger,
        collector=collector,
        node_image=NodeImageArgs(image, upstream, observed.generation),
        rehearsal=(
            _rehearsal(names, spec, digest, files) if settings.rehearse_replacement else None
        ),
        files=ConfigFilesArgs(str(names.node_directory), files, observed.generation),
        cluster_guard=ClusterGuardArgs(
            names.owner,
            names.cluster,
            str(names.directory),
            digest,
            standing=min(observed.created_from, default=""),
        ),
        cluster=_cluster(names, spec, digest, observed),
        probe=_probe(settings, names, observed, marks, spec) if settings.trace_probe else None,
        cluster_waits_for_ports=not held_by_backends.isdisjoint(
            set(settings.host_ports.values()) - of_backends
        ),
        backends_wait_for_ports=not held_by_nodes.isdisjoint(of_backends),
        cluster_name=names.cluster,
        jaeger_url=jaeger_url,
        links=links.all_links(
            jaeger_url,
            containerd=settings.containerd_plan.traced,
            etcd=settings.etcd_tracing,
            request_span=compatibility.REQUEST_SPAN.at(settings.k3s_version),
            tags={} if settings.has_jaeger else marks.own,
        )
        if jaeger_url
        else {},
        resource_attributes=marks.attributes,
        trace_outputs=_trace_outputs(settings),
        warnings=tuple(advice.warnings(settings, names, spec, observed)),
        tracing=(*tracing.lines, *settings.preset.lines),
    )


def _trace_outputs(settings: Settings) -> dict[str, str]:
    chosen = settings.preset.needs_tail_sampling
    tracing = {"tracing": settings.preset.description} if chosen else {}
    if settings.trace_store == stores.MEMORY:
        return tracing
    retention = {"traceRetention": settings.trace_retention} if settings.has_jaeger else {}
    return {"traceStore": settings.trace_store} | retention | tracing


def _held(observed: Observation, *containers: str) -> set[int]:
    return {port for name in containers for port in observed.held_ports.get(name, ())}


def _labels(names: Names, name: str, observed: Observation) -> dict[str, str]:
    """Of the container or network ``name``: with another MADE_LABEL, Pulumi makes it again."""
    made = observed.made.get(name)
    return names.labels | ({naming.MADE_LABEL: made} if made else {})


def _open_search(settings: Settings, names: Names, observed: Observation) -> OpenSearchArgs:
    """It publishes no port, so that only the stack's network reaches it."""
    return OpenSearchArgs(
        ContainerArgs(
            name=names.open_search,
            image=settings.images.open_search,
            alias=naming.OPENSEARCH_ALIAS,
            owner=names.owner,
            labels=_labels(names, names.open_search, observed),
            command=(),
            uploads={},
            secret_uploads={},
            ports={},
            memory_mib=settings.open_search_memory_mib,
            limits_swap=observed.limits_swap,
            environment=stores.own_environment(settings.open_search_heap_mib),
            ready_url="",
            ready_command=stores.OWN_READY,
            ready_seconds=_OPENSEARCH_READY_SECONDS,
            stop_seconds=_OPENSEARCH_STOP_SECONDS,
            volume=VolumeArgs(
                names.open_search_traces,
                stores.OWN_PATH,
                (),
                stores.OWN_USER,
                names.labels,
                names.owner,
                keep=settings.keep_traces,
            ),
            user=stores.OWN_USER,
            is_go=False,
        )
    )


def _jaeger(settings: Settings, names: Names, observed: Observation) -> JaegerArgs:
    """v2 is configured by a file, v1 by its environment."""
    url = _jaeger_url(settings)
    by_file = compatibility.JAEGER_GENERATION.at(settings.jaeger_version) == "v2"
    volume = _trace_volume(settings, names)
    keeps = settings.trace_store != stores.MEMORY
    container = ContainerArgs(
        name=names.jaeger,
        image=settings.images.jaeger,
        alias=naming.JAEGER_ALIAS,
        owner=names.owner,
        labels=_labels(names, names.jaeger, observed) | _store_labels(settings),
        command=("--config", _JAEGER_CONFIG) if by_file else (),
        uploads=(
            {_JAEGER_CONFIG: documents.jaeger(settings, names), **trace_store.files(settings)}
            if by_file
            else {}
        ),
        secret_uploads=trace_store.secret_files(settings),
        ports={settings.jaeger_ui_port: 16686},
        memory_mib=settings.jaeger_memory_mib,
        limits_swap=observed.limits_swap,
        environment={} if by_file else documents.jaeger_v1_environment(settings),
        ready_url=f"{url}/api/services",
        volume=volume,
        stop_seconds=_STORE_STOP_SECONDS if keeps else _STOP_SECONDS,
    )
    engine = _search_engine(settings, names, observed, container) if settings.store_urls else None
    return JaegerArgs(container, url, engine, _cassandra(settings, names))


def _cassandra(settings: Settings, names: Names) -> CassandraArgs | None:
    if settings.trace_store != CASSANDRA:
        return None
    return CassandraArgs(
        servers=tuple(settings.cassandra_servers),
        user=settings.trace_store_user,
        password=settings.trace_store_password,
        keyspace=names.keyspace,
    )


def _search_engine(
    settings: Settings, names: Names, observed: Observation, container: ContainerArgs
) -> SearchEngineArgs:
    parts = {
        "image": container.image,
        "uploads": container.uploads,
        "labels": container.labels,
        "memory": container.memory_mib,
        "ports": container.ports,
        "owner": container.owner,
    }
    return SearchEngineArgs(
        stack=names.stack,
        is_own=settings.has_own_open_search,
        store=settings.trace_store,
        urls=settings.store_urls,
        user=settings.trace_store_user,
        password=settings.trace_store_password,
        certificates=settings.trace_store_ca_file,
        image=settings.client_image,
        owner=names.owner,
        prefix=names.index_prefix,
        days=stores.days(settings.trace_retention),
        replicas=0 if settings.has_own_open_search else settings.trace_store_replicas,
        keep=settings.keep_traces,
        jaeger=str(settings.jaeger_version),
        of_container=hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16],
        today=observed.today.isoformat() if observed.today else "",
    )


def _store_labels(settings: Settings) -> dict[str, str]:
    """What tells the next run where this one kept traces."""
    store, servers = settings.trace_store, ",".join(settings.store_servers)
    return {
        **({naming.STORE_LABEL: settings.store_label} if store != stores.MEMORY else {}),
        **({naming.STORE_SERVERS_LABEL: servers} if servers else {}),
    }


def _kept_elsewhere(settings: Settings, names: Names) -> str:
    """What a destroy leaves in a cluster that this stack did not make."""
    if settings.trace_store == CASSANDRA:
        where = ", ".join(settings.cassandra_servers)
        removal = cassandra.removal(
            names.keyspace,
            settings.cassandra_servers,
            settings.trace_store_user,
            tls=bool(settings.trace_store_ca_file),
        )
        return (
            f"keyspace {names.keyspace} of Cassandra at {where}, where the next up finds them; "
            f"`{removal}` removes them"
        )
    if settings.has_own_open_search or not settings.store_urls or not settings.keep_traces:
        return ""
    return (
        f"indices {names.index_prefix}-jaeger-* at {', '.join(settings.store_urls)}, where the "
        "next up finds them; another up with keepTraces: false, and destroy, remove them"
    )


def _trace_volume(settings: Settings, names: Names) -> VolumeArgs | None:
    if settings.trace_store != BADGER:
        return None
    return VolumeArgs(
        names.traces,
        trace_store.VOLUME_PATH,
        trace_store.BADGER_FOLDERS,
        USER,
        names.labels,
        names.owner,
        keep=settings.keep_traces,
    )


def _jaeger_url(settings: Settings) -> str:
    """Of the Jaeger that is queried; empty: there is none."""
    if settings.has_jaeger:
        return f"http://127.0.0.1:{settings.jaeger_ui_port}"
    return settings.query_url


def _collector(
    settings: Settings, names: Names, observed: Observation, marks: Origin
) -> CollectorArgs:
    configuration = documents.collector(
        settings.collector_version,
        settings.collector_sampling_per_million,
        settings.collector_memory_mib,
        exporters=settings.exporters,
        allowed_origins=settings.allowed_origins,
        tracing=settings.preset,
        to_jaeger=settings.has_jaeger,
        origin=marks,
    )
    volume = _queue_volume(settings, names)
    container = ContainerArgs(
        name=names.collector,
        image=settings.images.collector,
        alias=naming.COLLECTOR_ALIAS,
        owner=names.owner,
        labels=_labels(names, names.collector, observed)
        | ({} if settings.has_jaeger else {naming.STORE_LABEL: stores.NONE}),
        command=("--config", _COLLECTOR_CONFIG),
        uploads={_COLLECTOR_CONFIG: configuration, **destinations.files(settings.exporters)},
        secret_uploads=destinations.secret_files(settings.exporters),
        ports={
            settings.otlp_grpc_port: 4317,
            settings.otlp_http_port: 4318,
            settings.collector_health_port: 13133,
            settings.collector_metrics_port: 8888,
        },
        memory_mib=settings.collector_memory_mib,
        limits_swap=observed.limits_swap,
        environment={},
        ready_url=f"http://127.0.0.1:{settings.collector_health_port}/",
        volume=volume,
        stop_seconds=_STOP_SECONDS,
    )
    return CollectorArgs(
        container,
        grpc_endpoint=f"http://127.0.0.1:{settings.otlp_grpc_port}",
        http_endpoint=f"http://127.0.0.1:{settings.otlp_http_port}",
        in_cluster_endpoint=f"http://{naming.COLLECTOR_ALIAS}:4317",
    )


def _queue_volume(settings: Settings, names: Names) -> VolumeArgs | None:
    if not settings.has_disk_queues:
        return None
    return VolumeArgs(
        names.queues,
        destinations.QUEUE_FOLDER,
        (),
        USER,
        names.labels,
        names.owner,
        keep=False,
    )


def _digest(spec: ClusterSpec, record: Record | None) -> str:
    """That of the standing cluster for as long as it can become ``spec`` without a replacement."""
    if record and not transition(ClusterSpec.read(record.spec), spec).replaces:
        return record.digest
    return identity(spec)


def _rehearsal(
    names: Names, spec: ClusterSpec, digest: str, files: Mapping[str, str]
) -> ClusterRehearsalArgs:
    return ClusterRehearsalArgs(
        stack=names.stack,
        folder=str(names.folder),
        state_folder=str(names.state_folder),
        cluster=names.cluster,
        spec=spec,
        digest=digest,
        files=files,
    )


def _cluster(
    names: Names, spec: ClusterSpec, digest: str, observed: Observation
) -> TracedClusterArgs:
    return TracedClusterArgs(
        stack=names.stack,
        folder=str(names.folder),
        state_folder=str(names.state_folder),
        kubeconfig=str(names.kubeconfig),
        spec=spec,
        digest=digest,
        labels=names.labels | {naming.SPEC_LABEL: digest},
        generation=observed.generation,
    )


def _probe(
    settings: Settings,
    names: Names,
    observed: Observation,
    marks: Origin,
    spec: ClusterSpec,
) -> TraceProbeArgs:
    tracing = Tracing(settings)
    metrics = f"http://127.0.0.1:{settings.collector_metrics_port}/metrics"
    return TraceProbeArgs(
        jaeger_url=_jaeger_url(settings),
        metrics_url="" if settings.has_jaeger else metrics,
        destinations=() if settings.has_jaeger else tracing.destinations,
        stack={} if settings.has_jaeger else marks.own,
        kubeconfig=str(names.kubeconfig),
        image=settings.probe_image or compatibility.SANDBOX_IMAGE.at(settings.k3s_version),
        seconds=settings.probe_timeout_seconds,
        demanded=tracing.demanded,
        expected=tracing.expected,
        k3s_version=f"v{settings.k3s_version}",
        content=content(spec),
        report=str(names.directory / "probe.json"),
        generation=observed.generation,
    )
