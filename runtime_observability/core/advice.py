"""What a user should know before a run goes on: one line for each."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date

from runtime_observability.core import (
    cassandra,
    compatibility,
    observation,
    spec_changes,
    stores,
    support,
    unused,
)
from runtime_observability.core.args import JaegerArgs
from runtime_observability.core.cluster_spec import ClusterSpec
from runtime_observability.core.naming import SPEC_LABEL, Names
from runtime_observability.core.observation import Observation, Record
from runtime_observability.core.settings.model import Settings
from runtime_observability.core.transition import content, identity, transition

_REPAIRED = "up will repair it"
_DRAIN = (
    "; pods that nothing makes again end, what is in an emptyDir or a hostPath there is lost, and "
    "an agent with persistent volumes of its own stays"
)
_RESTART = "will restart one after the other"
_KEEPS = (
    "; every object stays, and containers restart once (with restartPolicy Never they end) and "
    "lose what is in an emptyDir in memory or a hostPath below /run"
)
_UNDONE = "the last run ended before that"


def warnings(
    settings: Settings,
    names: Names,
    spec: ClusterSpec,
    observed: Observation,
    jaeger: JaegerArgs | None,
) -> list[str]:
    """All of them, the most urgent first; ``jaeger`` is the one that is wanted, if any."""
    return [
        *(f"{drift}: {_outcome(drift, names, spec, observed)}" for drift in observed.drift),
        *_change(names, spec, observed, settings),
        *_other_store(names, observed, settings),
        *_other_jaeger(observed, settings, jaeger),
        *_other_servers(names, observed, settings),
        *_login_without_tls(settings),
        *observed.notices,
        *_ended_support(settings, observed.today),
        *_unchecked_releases(settings),
        *_versions_of_other_images(settings),
        *_unused_containerd(settings),
        *unused.lines(settings),
        *_lost_rewrites(settings),
    ]


def _outcome(drift: str, names: Names, spec: ClusterSpec, observed: Observation) -> str:
    """What up does about one ``drift``: it repairs all but an agent that is to go, one of several
    servers (``host/decision.py``), and an API server that does not come back by itself."""
    record = observed.record
    if not record or record.never_complete:
        return _REPAIRED
    before = ClusterSpec.read(record.spec)
    servers, gone = _servers(names, before), _gone_servers(names, before, observed)
    if drift in gone and len(gone) == len(servers):
        return "up creates the cluster anew, without its workloads"
    if transition(before, spec).replaces:
        return _REPAIRED
    if drift in gone:
        return "up leaves the cluster as it is, because no server is added to one that stands"
    if drift.startswith(observation.unready(names.cluster)):
        return "up waits for it, and tells how to start it again if it does not come back"
    if before.has_etcd and drift == observation.unknown(servers[0]):
        return "up leaves the cluster as it is, and tells how that one joins again"
    unwanted = range(spec.config["agents"], before.config["agents"])
    if any(drift.startswith(f"node {names.node('agent', index)} ") for index in unwanted):
        return "up will remove what is left of it"
    return _REPAIRED


def _servers(names: Names, spec: ClusterSpec) -> list[str]:
    return [names.node("server", index) for index in range(spec.config["servers"])]


def _gone_servers(names: Names, spec: ClusterSpec, observed: Observation) -> set[str]:
    """The drift of the servers that are gone."""
    return set(map(observation.gone, _servers(names, spec))) & set(observed.drift)


def _change(
    names: Names, spec: ClusterSpec, observed: Observation, settings: Settings
) -> list[str]:
    """What a change of the configuration does to the cluster: one of three, for each change."""
    record = observed.record
    if record is None:
        return _change_of_an_unknown_cluster(names, spec, observed)
    before = ClusterSpec.read(record.spec)
    if len(_gone_servers(names, before, observed)) == before.config["servers"]:
        return []  # no node is left that a change could keep
    change = transition(before, spec)
    changed = "; ".join(spec_changes.changes(record.spec, spec.document, settings.secret_keys))
    cluster = f"cluster {names.cluster}"
    if change.replaces:
        return [f"{cluster} will be replaced, and its workloads go with it: {changed}"]
    lines = []
    if change.agents > 0:
        lines.append(f"{cluster}: agents will be added, {change.agents} of them")
    if change.agents < 0:
        lines.append(
            f"{cluster}: agents will be drained and removed, {-change.agents} of them{_DRAIN}"
        )
    lines = [f"{line}: {changed}" for line in lines]
    stay = _nodes_that_stay(names, before, spec)
    if restarted := _to_restart(record, spec, stay):
        which = f"its nodes {_RESTART}"
        if restarted != stay:
            which = ", ".join(restarted) + (f" {_RESTART}" if restarted[1:] else " will restart")
        lines.append(f"{cluster}: {which}{_KEEPS}: {changed if change.restarts else _UNDONE}")
    return lines


def _nodes_that_stay(names: Names, before: ClusterSpec, after: ClusterSpec) -> list[str]:
    """Their names, where a change replaces none."""
    return [
        names.node(role, index)
        for role in ("server", "agent")
        for index in range(min(before.config[f"{role}s"], after.config[f"{role}s"]))
    ]


def _to_restart(record: Record, spec: ClusterSpec, nodes: Sequence[str]) -> list[str]:
    """Those of ``nodes`` that have started with other files than ``spec`` has: the record has what
    the last run wanted, which may have ended before it restarted them."""
    wanted, noted = content(spec), content(ClusterSpec.read(record.spec))
    return [node for node in nodes if record.content.get(node, noted) != wanted]


def _change_of_an_unknown_cluster(
    names: Names, spec: ClusterSpec, observed: Observation
) -> list[str]:
    """Without its record nobody knows whether a standing cluster could become what is wanted."""
    if not observed.created_from:
        return []
    cluster, lost = f"cluster {names.cluster}", f"the record of it, {names.record}, is lost"
    if observed.created_from == {identity(spec)}:
        beyond = f"any agent beyond the {spec.config['agents']} wanted will be drained and removed"
        return [f"{cluster}: its nodes {_RESTART}{_KEEPS}; {beyond}{_DRAIN}: {lost}"]
    return [
        f"{cluster} will be replaced, and its workloads go with it: it was created from another "
        f"configuration, and {lost}"
    ]


def _other_store(names: Names, observed: Observation, settings: Settings) -> list[str]:
    """What happens to the traces when Jaeger gets another store."""
    before, after = observed.trace_store, settings.store_label
    if before in ("", after):
        return []
    change = f'traceStore: "{before}" → "{after}": Jaeger will be'
    if before == stores.NONE:
        return [f"{change} made; earlier traces stay where exporters sent them"]
    if before == stores.MEMORY:
        fate = "the traces in its memory are lost"
    elif before in (stores.BADGER, stores.OWN_LABEL):
        volume = names.traces if before == stores.BADGER else names.open_search_traces
        fate = (
            f"volume {volume} is removed with its traces, unless keepTraces was on at the last up: "
            f"then it stays, also at destroy, until `docker volume rm {volume}`"
        )
    elif before == stores.CASSANDRA:
        servers = observed.trace_store_servers or ("HOST",)  # earlier releases do not tell them
        removal = cassandra.removal(names.keyspace, servers, "", tls=False)
        fate = (
            f"keyspace {names.keyspace} stays in Cassandra at {', '.join(servers)} with its "
            f"traces, until `{removal}`, with a login or --ssl if it wants them"
        )
    elif before in stores.SEARCH_ENGINES:
        fate = (
            f"indices {names.index_prefix}-jaeger-* are deleted from {before} with their traces, "
            "unless keepTraces was on at the last up: then they stay, also at destroy; an up with "
            "that store and keepTraces false, and destroy, remove them"
        )
    else:
        fate = f"its traces stay in {before}"
    return [f"{change} {'replaced' if settings.has_jaeger else 'removed'}, and {fate}"]


def _other_jaeger(
    observed: Observation, settings: Settings, jaeger: JaegerArgs | None
) -> list[str]:
    """What happens to the traces when Jaeger is replaced, and goes on with the same store.

    One of a release without the label is replaced because of it.
    """
    if jaeger is None or not observed.trace_store == settings.store_label == stores.MEMORY:
        return []
    if observed.jaeger_spec == jaeger.container.labels[SPEC_LABEL]:
        return []
    return [
        "Jaeger will be replaced, and the traces in its memory are lost: traceStore badger keeps "
        "traces beyond that"
    ]


def _other_servers(names: Names, observed: Observation, settings: Settings) -> list[str]:
    """What happens to the traces when Jaeger's store may be another cluster of the same kind.

    Servers of which one is the same belong to one cluster.
    """
    before, after = observed.trace_store_servers, settings.store_servers
    if observed.trace_store != settings.store_label or not before or {*before} & {*after}:
        return []
    traces = (
        f"keyspace {names.keyspace}"
        if settings.trace_store == stores.CASSANDRA
        else f"indices {names.index_prefix}-jaeger-*"
    )
    return [
        f"traceStore: {', '.join(before)} → {', '.join(after)}: Jaeger will be replaced. If that "
        f"is another cluster, earlier traces stay in {traces} of the one before, and this stack "
        "does not find or remove them any more"
    ]


def _login_without_tls(settings: Settings) -> list[str]:
    if not settings.trace_store_user:
        return []
    if settings.trace_store == stores.CASSANDRA:
        plain = () if settings.trace_store_ca_file else settings.store_servers
        cure = "set traceStoreCaFile"
    else:
        plain = tuple(url for url in settings.store_urls if url.startswith("http://"))
        cure = "write https://"
    if not plain:
        return []
    return [
        f"traceStorePassword is sent to {', '.join(plain)} without TLS, where who sees the network "
        f"has it: {cure} if it speaks TLS"
    ]


def _ended_support(settings: Settings, today: date | None) -> list[str]:
    ended = today and support.ended_kubernetes(settings.k3s_version, today)
    return [str(ended)] if ended else []


def _unchecked_releases(settings: Settings) -> list[str]:
    jaeger = {"Jaeger": (settings.jaeger_version, compatibility.NEWEST_KNOWN_JAEGER)}
    node = {"OpenSearch": (settings.open_search_version, compatibility.NEWEST_KNOWN_OPENSEARCH)}
    newest = {
        "k3s": (settings.k3s_version, compatibility.NEWEST_KNOWN_K3S),
        **(jaeger if settings.has_jaeger else {}),
        **(node if settings.has_own_open_search else {}),
        "collector": (settings.collector_version, compatibility.NEWEST_KNOWN_COLLECTOR),
    }
    return [
        f"{name} {version} is newer than {checked}, the newest release checked; it gets "
        f"{checked}'s configuration"
        for name, (version, checked) in newest.items()
        if version > checked
    ]


def _versions_of_other_images(settings: Settings) -> list[str]:
    """An image of the user's own that is another release than its version says."""
    images = settings.images
    return [
        f"{key}Image is {image}, but it gets the configuration of {key}Version {version}: "
        "write {version} in the image to keep both the same"
        for key, version, image in (
            ("jaeger", settings.jaeger_version, images.jaeger),
            ("collector", settings.collector_version, images.collector),
            ("k3s", settings.k3s_version, images.nodes),
        )
        if key != "jaeger" or settings.has_jaeger
        if (tagged := re.search(r":v?(\d+\.\d+\.\d+)", image)) and tagged[1] != version.numbers
    ]


def _unused_containerd(settings: Settings) -> list[str]:
    if not settings.containerd_binary or settings.containerd_plan.upstream:
        return []
    return ["containerdBinary is not used: the nodes run their image's own containerd"]


def _lost_rewrites(settings: Settings) -> list[str]:
    if "rewrite:" not in settings.registries.config or not settings.containerd_plan.upstream:
        return []
    return [
        "registries.config: the upstream containerd does not support rewrites, which k3s adds to "
        "its own; `pulumi config set containerdTracing off` keeps them"
    ]
