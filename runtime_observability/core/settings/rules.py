"""Rules that more than one key is about: what each value may be alone is ``values``'s."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from runtime_observability.core import compatibility, stores
from runtime_observability.core.problem import Problem
from runtime_observability.core.settings import contrib, node_names, pod_ranges, without_jaeger
from runtime_observability.core.settings.exporter_rules import refuse_unfit_exporters
from runtime_observability.core.settings.k3s_arguments import (
    NO_NETWORK_PLUGIN,
    NODE_FILTER,
    split_k3s_argument,
)
from runtime_observability.core.settings.model import (
    JAEGER_PORT,
    PORT_DEFAULTS,
    Settings,
    published_key,
)
from runtime_observability.core.settings.node_extras import (
    has_registries,
    of_the_cluster,
    overlaps,
)
from runtime_observability.core.settings.open_search_rules import refuse_an_unfit_open_search
from runtime_observability.core.settings.release_rules import refuse_unpublished
from runtime_observability.core.settings.store_rules import refuse_an_unfit_cluster
from runtime_observability.core.settings.values import host_port, whole_number


def refuse_clashes(raw: Mapping[str, Any]) -> list[Problem]:
    """Two keys with one port, as far as ``raw`` can be read: other problems are found elsewhere."""
    problems = []
    holders: dict[tuple[int, str], str] = {}
    for key, port in _host_ports(raw):
        if port in holders:
            problems.append(
                Problem(
                    key,
                    f"{port[0]} is also the port of {holders[port]}",
                    "every port needs a number of its own",
                )
            )
        holders.setdefault(port, key)
    return problems


def _host_ports(raw: Mapping[str, Any]) -> Iterator[tuple[str, tuple[int, str]]]:
    """Each port with its protocol: one number on TCP and on UDP is two ports."""
    for key in PORT_DEFAULTS:
        if key == JAEGER_PORT and raw.get("traceStore") == stores.NONE:
            continue
        if (port := whole_number(raw.get(key))) is not None:
            yield key, (port, "tcp")
    entries = raw.get("publishedPorts", ())
    for entry in entries if isinstance(entries, list | tuple) else ():
        if published := host_port(entry):
            yield published_key(entry), published


def refuse_broken_rules(settings: Settings) -> list[Problem]:
    """Every rule across keys that valid values break together."""
    return [
        *_refuse_arguments_for_no_node(settings),
        *node_names.refuse(settings),
        *pod_ranges.refuse(settings),
        *_refuse_a_secret_owner(settings),
        *_refuse_a_shared_data_folder(settings),
        *_refuse_a_shared_kubelet_folder(settings),
        *_refuse_two_registries_files(settings),
        *_refuse_untraceable_etcd(settings),
        *_refuse_a_probe_without_network(settings),
        *refuse_unfit_exporters(settings),
        *_refuse_more_than_the_store_holds(settings),
        *_refuse_an_unfit_store(settings),
        *without_jaeger.refuse(settings),
        *refuse_an_unfit_cluster(settings),
        *refuse_an_unfit_open_search(settings),
        *contrib.refuse_a_collector_without_it(settings),
        *refuse_unpublished(settings),
    ]


def _refuse_arguments_for_no_node(settings: Settings) -> list[Problem]:
    """k3d refuses an index that no node has, and only after the old cluster has gone."""
    counts = {"server": settings.servers, "agent": settings.agents}
    problems = []
    for number, argument in enumerate(settings.k3s_args):
        for node_filter in split_k3s_argument(argument)[1]:
            match = NODE_FILTER.fullmatch(node_filter)
            indexes = re.findall(r"\d+", match[2] or "") if match else []
            if match and any(int(index) >= counts[match[1]] for index in indexes):
                role, count = match[1], counts[match[1]]
                numbered = f"{count} {role}{'' if count == 1 else 's'}"
                problems.append(
                    Problem(
                        f"k3sArgs.{number}",
                        f"{node_filter} does not exist; this stack has {numbered}, numbered from 0",
                    )
                )
    return problems


def _refuse_a_secret_owner(settings: Settings) -> list[Problem]:
    problem = Problem(
        "stackOwner",
        "its secret value cannot be used",
        "everything that the collector passes on has it, and so have the outputs",
        "set it without --secret",
    )
    return [problem] if "stackOwner" in settings.secret_keys else []


def _refuse_a_shared_data_folder(settings: Settings) -> list[Problem]:
    """Of a --data-dir; for k3s' default the volume alone is refused."""
    flag = "--data-dir="
    arguments = [split_k3s_argument(argument)[0] for argument in settings.k3s_args]
    folders = [text.removeprefix(flag) for text in arguments if text.startswith(flag)]
    folders += filter(None, [settings.node_environment.get("K3S_DATA_DIR")])
    return [
        Problem(
            f"nodeVolumes.{number}",
            f"{json.dumps(volume)} cannot be used",
            why,
            "choose another TARGET",
        )
        for number, volume in enumerate(settings.node_volumes)
        for folder in dict.fromkeys(folders)
        if (why := of_the_cluster(volume, folder))
    ]


def _refuse_a_shared_kubelet_folder(settings: Settings) -> list[Problem]:
    """Of its root-dir; for the default one the volume alone is refused."""
    flag = "--kubelet-arg=root-dir="
    arguments = [split_k3s_argument(argument)[0] for argument in settings.k3s_args]
    folders = [f"{text.removeprefix(flag)}/pods" for text in arguments if text.startswith(flag)]
    nodes = settings.servers + settings.agents
    return [
        Problem(
            f"nodeVolumes.{number}",
            f"{json.dumps(volume)} cannot be used with {nodes} nodes",
            f"a kubelet removes what is of no pod of its own from {folder}, and each node has it",
            "choose another TARGET",
        )
        for number, volume in enumerate(settings.node_volumes)
        for folder in folders
        if nodes > 1 and overlaps(volume, [folder])
    ]


def _refuse_two_registries_files(settings: Settings) -> list[Problem]:
    """k3d cannot replace a file that is mounted, and in a folder it would be the user's own."""
    keys = [f"registries.{key}" for key in ("config", "use") if getattr(settings.registries, key)]
    return [
        Problem(
            f"nodeVolumes.{number}",
            f"{json.dumps(volume)} cannot be used with {key}",
            "the nodes' registries.yaml is in it, and k3d would write its own there",
            f"leave out {key}, whose mirrors that file can have, or choose another TARGET",
        )
        for number, volume in enumerate(settings.node_volumes)
        for key in keys
        if has_registries(volume)
    ]


def _refuse_untraceable_etcd(settings: Settings) -> list[Problem]:
    if not settings.etcd_tracing:
        return []
    problems = []
    if settings.servers == 1:
        problems.append(
            Problem(
                "etcdTracing",
                "true cannot be used with servers: 1",
                "k3s runs a single server on SQLite, without etcd",
                "use servers: 3",
            )
        )
    oldest = compatibility.ETCD_TRACING_PREFIX.begins
    if settings.k3s_version < oldest:
        problems.append(
            Problem(
                "etcdTracing",
                f"true cannot be used with k3s {settings.k3s_version}",
                f"before {oldest} its etcd has no sampling rate for traces",
            )
        )
    return problems


def _refuse_a_probe_without_network(settings: Settings) -> list[Problem]:
    arguments = [split_k3s_argument(argument)[0] for argument in settings.k3s_args]
    if not settings.trace_probe or NO_NETWORK_PLUGIN not in arguments:
        return []
    return [
        Problem(
            "traceProbe",
            f"true cannot be used with {NO_NETWORK_PLUGIN}",
            "no pod starts before you have added a network plugin",
            "run `pulumi config set traceProbe false`, and `ktrace verify` once there is one",
        )
    ]


def _refuse_more_than_the_store_holds(settings: Settings) -> list[Problem]:
    """Jaeger bounds its memory store by traces alone: the kernel would end it at its limit."""
    memory, traces = settings.jaeger_memory_mib, settings.jaeger_max_traces
    needed = stores.memory_for(traces)
    if settings.trace_store != stores.MEMORY or memory >= needed:
        return []
    average = f"{stores.SPANS_OF_A_TRACE} spans of {stores.SPAN_KIB} KiB"
    fit = stores.traces_for(memory)
    fewer = f", or jaegerMaxTraces {fit}" if fit else ""
    return [
        Problem(
            "jaegerMaxTraces",
            f"{traces} traces do not fit into jaegerMemoryMiB {memory}",
            f"a trace has {average} on average, and more where many pods start",
            f"use jaegerMemoryMiB {needed}{fewer}",
        )
    ]


def _refuse_an_unfit_store(settings: Settings) -> list[Problem]:
    problems = []
    if settings.trace_store == stores.MEMORY and settings.keep_traces:
        problems.append(
            Problem(
                "keepTraces",
                "true cannot be used with traceStore memory",
                "what is in memory ends with Jaeger",
                "set it to false, which leaves what another store has kept, or use another "
                "traceStore",
            )
        )
    least = stores.LEAST_BADGER_MIB
    if settings.trace_store == stores.BADGER and settings.jaeger_memory_mib < least:
        problems.append(
            Problem(
                "jaegerMemoryMiB",
                f"{settings.jaeger_memory_mib} is too small for traceStore {settings.trace_store}",
                f"Badger holds up to {stores.BADGER_HEAP_MIB} MiB, an answer takes "
                f"{stores.ANSWER_MIB} more, and the heap gets four fifths of the limit",
                f"set it to {least} or more",
            )
        )
    return problems
