"""The containers beside the cluster: Jaeger, its OpenSearch and retention, the collector. Pure."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

from runtime_observability.core import (
    compatibility,
    destinations,
    documents,
    naming,
    search_engine,
    stores,
    trace_store,
)
from runtime_observability.core.args import (
    USER,
    CassandraArgs,
    CollectorArgs,
    ContainerArgs,
    JaegerArgs,
    OpenSearchArgs,
    RetentionArgs,
    SearchEngineArgs,
    VolumeArgs,
)
from runtime_observability.core.naming import Names
from runtime_observability.core.observation import Observation
from runtime_observability.core.origin import Origin
from runtime_observability.core.settings.model import Settings
from runtime_observability.core.stores import BADGER, CASSANDRA

_JAEGER_CONFIG = "/etc/jaeger/config.yaml"
_COLLECTOR_CONFIG = "/etc/otelcol/config.yaml"
_RETENTION_OPTIONS = "/store-options"
_RETENTION_MEMORY_MIB = 32
_STOP_SECONDS = 5
_STORE_STOP_SECONDS = 30
_OPENSEARCH_STOP_SECONDS = 60
"""Stopping took it up to 31 s (measured with 2.19.6 on a busy machine)."""
_OPENSEARCH_READY_SECONDS = 240
"""It starts in 15 to 40 s, and three times later on a busy machine."""


def open_search(settings: Settings, names: Names, observed: Observation) -> OpenSearchArgs:
    """It publishes no port, so that only the stack's network reaches it."""
    return OpenSearchArgs(
        ContainerArgs(
            name=names.open_search,
            image=settings.images.open_search,
            alias=naming.OPENSEARCH_ALIAS,
            owner=names.owner,
            labels=labels(names, names.open_search, observed),
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


def jaeger(settings: Settings, names: Names, observed: Observation) -> JaegerArgs:
    """v2 is configured by a file, v1 by its environment."""
    url = jaeger_url(settings)
    by_file = compatibility.JAEGER_GENERATION.at(settings.jaeger_version) == "v2"
    volume = _trace_volume(settings, names)
    keeps = settings.trace_store != stores.MEMORY
    container = ContainerArgs(
        name=names.jaeger,
        image=settings.images.jaeger,
        alias=naming.JAEGER_ALIAS,
        owner=names.owner,
        labels=labels(names, names.jaeger, observed) | _store_labels(settings),
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
        note=str(names.directory / naming.JAEGER_NOTE),
    )
    if not keeps:  # the next run tells a change that costs its traces
        mark = {naming.SPEC_LABEL: _identity(container)}
        container = replace(container, labels={**container.labels, **mark})
    engine = _search_engine(settings, names, observed, container) if settings.store_urls else None
    return JaegerArgs(container, url, engine, _cassandra(settings, names))


def retention(settings: Settings, names: Names, observed: Observation) -> RetentionArgs:
    """Its script comes with the component."""
    user, password = settings.trace_store_user, settings.trace_store_password
    certificates = settings.trace_store_ca_file
    options = search_engine.options(user, password, own_ca=bool(certificates))
    file = {_RETENTION_OPTIONS: options}
    return RetentionArgs(
        ContainerArgs(
            name=names.retention,
            image=settings.client_image,
            alias=names.retention,
            owner=names.owner,
            labels=labels(names, names.retention, observed),
            entrypoint=("/bin/sh",),
            command=(),
            uploads={
                **({} if password else file),
                **({search_engine.CA_FILE: certificates} if certificates else {}),
            },
            secret_uploads=file if password else {},
            ports={},
            memory_mib=_RETENTION_MEMORY_MIB,
            limits_swap=observed.limits_swap,
            environment={
                "URLS": " ".join(settings.store_urls),
                "PREFIX": names.index_prefix,
                "DAYS": str(stores.days(settings.trace_retention)),
                "OPTIONS": _RETENTION_OPTIONS,
            },
            ready_url="",
            ready_command=("curl", "--version"),
            stop_seconds=_STOP_SECONDS,
            is_go=False,
        )
    )


def collector(
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
        labels=labels(names, names.collector, observed)
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


def jaeger_url(settings: Settings) -> str:
    """Of the Jaeger that is queried; empty: there is none."""
    if settings.has_jaeger:
        return f"http://127.0.0.1:{settings.jaeger_ui_port}"
    return settings.query_url


def labels(names: Names, name: str, observed: Observation) -> dict[str, str]:
    """Of the container or network ``name``: with another MADE_LABEL, Pulumi makes it again."""
    made = observed.made.get(name)
    return names.labels | ({naming.MADE_LABEL: made} if made else {})


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
        shards=settings.trace_store_shards,
        replicas=0 if settings.has_own_open_search else settings.trace_store_replicas,
        keep=settings.keep_traces,
        jaeger=str(settings.jaeger_version),
        of_container=_identity(container),
    )


def _identity(container: ContainerArgs) -> str:
    """Of what the container is made of: with another one, Pulumi makes another container."""
    parts = {
        "image": container.image,
        "command": container.command,
        "environment": container.variables,
        "uploads": container.uploads,
        "labels": {
            key: container.labels[key] for key in container.labels.keys() - {naming.MADE_LABEL}
        },
        "memory": container.memory_mib,
        "ports": container.ports,
        "owner": container.owner,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def _store_labels(settings: Settings) -> dict[str, str]:
    """What tells the next run where this one kept traces."""
    store, servers = settings.trace_store, ",".join(settings.store_servers)
    return {
        **({naming.STORE_LABEL: settings.store_label} if store != stores.MEMORY else {}),
        **({naming.STORE_SERVERS_LABEL: servers} if servers else {}),
    }


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
