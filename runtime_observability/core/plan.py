"""From the settings and the machine to the Args of every component.

Pure: the same settings on the same machine give the same plan, which ``pulumi up`` carries out and
``ktrace render`` shows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from runtime_observability.core import (
    advice,
    backends,
    cassandra,
    compatibility,
    documents,
    links,
    naming,
    origin,
    stores,
)
from runtime_observability.core.args import (
    ClusterGuardArgs,
    ClusterRehearsalArgs,
    CollectorArgs,
    ConfigFilesArgs,
    JaegerArgs,
    NodeImageArgs,
    OpenSearchArgs,
    RetentionArgs,
    StackGuardArgs,
    StackNetworkArgs,
    TracedClusterArgs,
    TraceProbeArgs,
)
from runtime_observability.core.cluster_spec import ClusterSpec, cluster_spec
from runtime_observability.core.naming import Names
from runtime_observability.core.node_image import UpstreamImage
from runtime_observability.core.observation import Observation, Record
from runtime_observability.core.origin import Origin
from runtime_observability.core.settings.model import Settings
from runtime_observability.core.stores import CASSANDRA
from runtime_observability.core.tracing import Tracing
from runtime_observability.core.transition import content, identity, transition, with_agents


@dataclass(frozen=True)
class Plan:
    """One stack, decided before its first resource: the Args of each component, and what to say."""

    stack_guard: StackGuardArgs
    network: StackNetworkArgs
    open_search: OpenSearchArgs | None
    retention: RetentionArgs | None
    """The stack's own; None where its traces go elsewhere."""
    jaeger: JaegerArgs | None
    """None where the stack has no Jaeger."""
    collector: CollectorArgs
    node_image: NodeImageArgs
    rehearsal: ClusterRehearsalArgs
    files: ConfigFilesArgs
    cluster_guard: ClusterGuardArgs
    cluster: TracedClusterArgs
    probe: TraceProbeArgs | None
    cluster_waits_for_backends: bool
    """The cluster takes a port that Jaeger or the collector has until it is replaced; or its
    servers start at the addresses that they had, so that none is free for these two meanwhile."""
    backends_wait_for_ports: bool
    """Jaeger or the collector takes a port that the cluster has until it is replaced."""
    cluster_name: str
    jaeger_url: str
    """Of the Jaeger that is queried; empty: there is none."""
    links: dict[str, str]
    resource_attributes: dict[str, str]
    """What the collector adds to everything, where its sender does not say otherwise."""
    trace_outputs: dict[str, Any]
    """What `ktrace` has to know where Jaeger keeps traces elsewhere than in its memory, or does not
    get all of them, or where no probe tells what is traced, by the output's name."""
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
    observed = _without_edits(observed, names, spec)
    digest = _digest(spec, observed.record)
    marks = origin.of(names, settings.stack_owner)
    jaeger = backends.jaeger(settings, names, observed) if settings.has_jaeger else None
    jaeger_url = backends.jaeger_url(settings)
    collector = backends.collector(settings, names, observed, marks)
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
            _kept_volumes(settings, names),
            kept_elsewhere=_kept_elsewhere(settings, names),
        ),
        network=StackNetworkArgs(
            names.network,
            names.owner,
            backends.labels(names, names.network, observed),
            standing,
        ),
        open_search=(
            backends.open_search(settings, names, observed)
            if settings.has_own_open_search
            else None
        ),
        jaeger=jaeger,
        retention=(backends.retention(settings, names, observed) if settings.store_urls else None),
        collector=collector,
        node_image=NodeImageArgs(image, upstream, observed.generation),
        rehearsal=_rehearsal(names, spec, digest, files, on=settings.rehearse_replacement),
        files=ConfigFilesArgs(str(names.node_directory), files, observed.generation),
        cluster_guard=ClusterGuardArgs(
            names.owner,
            names.cluster,
            str(names.directory),
            digest,
            standing=min(observed.created_from, default=""),
            generation=observed.generation,
        ),
        cluster=_cluster(names, spec, digest, observed),
        probe=_probe(settings, names, observed, marks, spec) if settings.trace_probe else None,
        cluster_waits_for_backends=bool(observed.record and observed.record.addresses)
        or not held_by_backends.isdisjoint(set(settings.host_ports.values()) - of_backends),
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
        warnings=tuple(advice.warnings(settings, names, spec, observed, jaeger)),
        tracing=(*tracing.lines, *settings.preset.lines),
    )


def _trace_outputs(settings: Settings) -> dict[str, Any]:
    outputs: dict[str, Any] = {}
    if settings.trace_store != stores.MEMORY:
        outputs["traceStore"] = settings.trace_store
        if settings.has_jaeger:
            outputs["traceRetention"] = settings.trace_retention
    if settings.preset.needs_tail_sampling:
        outputs["tracing"] = settings.preset.description
    if not settings.trace_probe:
        tracing = Tracing(settings)
        outputs["expectedComponents"] = [*tracing.demanded, *tracing.expected]
    return outputs


def _held(observed: Observation, *containers: str) -> set[int]:
    return {port for name in containers for port in observed.held_ports.get(name, ())}


def _kept_volumes(settings: Settings, names: Names) -> tuple[str, ...]:
    """Those that a destroy leaves. A volume of a store that is not in use is there because
    keepTraces was on when the store changed: it does not go although that may be off now."""
    of_store = {stores.BADGER: names.traces, stores.OWN_LABEL: names.open_search_traces}
    return tuple(
        volume
        for store, volume in of_store.items()
        if settings.keep_traces or store != settings.store_label
    )


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


def _digest(spec: ClusterSpec, record: Record | None) -> str:
    """That of the standing cluster for as long as it can become ``spec`` without a replacement."""
    if record and not transition(ClusterSpec.read(record.spec), spec).replaces:
        return record.digest
    return identity(spec)


def _without_edits(observed: Observation, names: Names, spec: ClusterSpec) -> Observation:
    """``observed`` with a record that agrees with what the nodes' labels say.

    One that somebody edited, or took from another stack, would tell of a replacement that does not
    come, at every run: ensure writes another.
    """
    record = observed.record
    if record is None or record.digest != identity(spec):
        return observed
    noted = ClusterSpec.read(record.spec)
    if not transition(noted, spec).replaces:
        return observed
    return replace(
        observed,
        record=replace(record, spec=with_agents(spec, noted.config["agents"]).document),
        drift=(
            *observed.drift,
            f"{names.record} has another configuration than the cluster",
        ),
        generation=observed.generation + (not observed.drift),
    )


def _rehearsal(
    names: Names, spec: ClusterSpec, digest: str, files: Mapping[str, str], *, on: bool
) -> ClusterRehearsalArgs:
    return ClusterRehearsalArgs(
        stack=names.stack,
        folder=str(names.folder),
        state_folder=str(names.state_folder),
        cluster=names.cluster,
        spec=spec,
        digest=digest,
        files=files,
        on=on,
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
        jaeger_url=backends.jaeger_url(settings),
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
