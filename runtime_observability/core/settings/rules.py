"""Rules that more than one key is about: what each value may be alone is ``values``'s."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from runtime_observability.core import compatibility, stores
from runtime_observability.core.destinations import MIB_FOR_A_QUEUE
from runtime_observability.core.problem import Problem
from runtime_observability.core.settings import contrib, node_names, without_jaeger
from runtime_observability.core.settings.exporter import OF_JAEGER
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
from runtime_observability.core.settings.node_extras import has_registries, of_the_cluster
from runtime_observability.core.settings.open_search_rules import refuse_an_unfit_open_search
from runtime_observability.core.settings.store_rules import refuse_an_unfit_cluster
from runtime_observability.core.settings.values import host_port, whole_number

_THIS_MACHINE = ("host.docker.internal", "gateway.docker.internal")
"""As a container of Docker Desktop calls it, which reaches the ports on 127.0.0.1 by these names
(docs.docker.com/desktop/features/networking)."""


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
        *_refuse_a_secret_owner(settings),
        *_refuse_a_shared_data_folder(settings),
        *_refuse_two_registries_files(settings),
        *_refuse_untraceable_etcd(settings),
        *_refuse_a_probe_without_network(settings),
        *_refuse_exporters_of_one_name(settings),
        *_refuse_one_destination_twice(settings),
        *_refuse_exporters_to_itself(settings),
        *_refuse_exporters_of_an_old_collector(settings),
        *_refuse_exporters_without_memory(settings),
        *_refuse_more_than_the_store_holds(settings),
        *_refuse_an_unfit_store(settings),
        *without_jaeger.refuse(settings),
        *refuse_an_unfit_cluster(settings),
        *refuse_an_unfit_open_search(settings),
        *contrib.refuse_a_collector_without_it(settings),
        *_refuse_unpublished(settings),
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


def _refuse_exporters_of_one_name(settings: Settings) -> list[Problem]:
    """A name is that of a pipeline, and what `ktrace verify` calls the destination."""
    problems = []
    labels: dict[str, int] = {}
    for number, exporter in enumerate(settings.exporters):
        label = exporter.label
        if label == OF_JAEGER and not exporter.name:
            problems.append(
                Problem(
                    f"exporters.{number}.name",
                    f"the endpoint's host gives it the name {label}",
                    "that is the name of the stack's own Jaeger",
                    "give it another name",
                )
            )
        elif label in labels:
            problems.append(
                Problem(
                    f"exporters.{number}.name",
                    f"{label} is also the name of exporters.{labels[label]}",
                    "every destination needs a name of its own, by default made of its host",
                    "give one of them another name",
                )
            )
        labels.setdefault(label, number)
    return problems


def _refuse_one_destination_twice(settings: Settings) -> list[Problem]:
    """What both get is there twice. Other headers or client certificates may be other tenants'."""
    return [
        Problem(
            f"exporters.{number}",
            f"it sends to the same destination as exporters.{before}",
            "what both send would be there twice",
            "leave one of them out, or give each its own signals or only",
        )
        for number, exporter in enumerate(settings.exporters)
        for before, other in enumerate(settings.exporters[:number])
        if exporter.destination == other.destination and exporter.overlaps(other)
    ]


def _refuse_exporters_to_itself(settings: Settings) -> list[Problem]:
    """The collector would send what it receives to itself, without an end."""
    own = {"otlpGrpcPort": settings.otlp_grpc_port, "otlpHttpPort": settings.otlp_http_port}
    return [
        Problem(
            f"exporters.{number}.endpoint",
            f"{json.dumps(exporter.endpoint)} cannot be used",
            f"on this machine {port} is {key}, the stack's own collector, which would send to "
            "itself",
            f"name another port, or set {key} to another",
        )
        for number, exporter in enumerate(settings.exporters)
        if str(exporter.address.hostname).rstrip(".") in _THIS_MACHINE
        for key, port in own.items()
        if exporter.address.port == port
    ]


def _refuse_exporters_of_an_old_collector(settings: Settings) -> list[Problem]:
    oldest = compatibility.OLDEST_WITH_EXPORTERS
    if settings.collector_version >= oldest:
        return []
    why = {
        "exporters": "no queue can be bounded so that a dead destination costs Jaeger nothing",
        "allowedOrigins": "it has not been checked",
    }
    used = {"exporters": settings.exporters, "allowedOrigins": settings.allowed_origins}
    return [
        Problem(
            key,
            f"it cannot be used with collector {settings.collector_version}",
            f"before {oldest} {why[key]}",
            f"set collectorVersion to {oldest} or newer",
        )
        for key, value in used.items()
        if value
    ]


def _refuse_exporters_without_memory(settings: Settings) -> list[Problem]:
    """A queue is a part of the collector's memory: a small one drops what comes at once."""
    queues = sum(len(set(exporter.signals)) for exporter in settings.exporters)
    wanted = queues * MIB_FOR_A_QUEUE
    if settings.collector_memory_mib >= wanted:
        return []
    return [
        Problem(
            "exporters",
            f"{queues} {'queue' if queues == 1 else 'queues'} cannot be used with "
            f"collectorMemoryMiB: {settings.collector_memory_mib}",
            f"each signal of each exporter has a queue, which needs {MIB_FOR_A_QUEUE} MiB",
            f"set collectorMemoryMiB to {wanted} or more",
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


def _refuse_unpublished(settings: Settings) -> list[Problem]:
    """Releases without an official image: a name is not guessed."""
    return [
        *_refuse_k3s_without_a_build_number(settings),
        *_refuse_pre_releases(settings),
        *_refuse_an_unpublished_collector(settings),
        *_refuse_an_unpublished_jaeger(settings),
    ]


def _refuse_k3s_without_a_build_number(settings: Settings) -> list[Problem]:
    version = settings.k3s_version
    if version.build or (settings.k3s_image and "{version}" not in settings.k3s_image):
        return []
    return [
        Problem(
            "k3sVersion",
            f"{version.numbers} is not the tag of an image",
            f"rancher/k3s tags end in a build number, e.g. v{version.numbers}-k3s1",
        )
    ]


def _refuse_pre_releases(settings: Settings) -> list[Problem]:
    releases = (
        ("jaeger", settings.jaeger_version, settings.jaeger_image),
        ("collector", settings.collector_version, settings.collector_image),
    )
    return [
        Problem(
            f"{name}Version",
            f"no official image of the pre-release {version} is known",
            cure=f"name an image in {name}Image, or use {version.numbers}",
        )
        for name, version, image in releases
        if version.pre_release and not image
    ]


def _refuse_an_unpublished_collector(settings: Settings) -> list[Problem]:
    version = settings.collector_version.numbers
    nearest = compatibility.UNPUBLISHED_COLLECTORS.get(version)
    if nearest is None or settings.collector_image:
        return []
    return [
        Problem(
            "collectorVersion",
            f"{version} has no official image",
            cure=f"use {nearest}, or name an image in collectorImage",
        )
    ]


def _refuse_an_unpublished_jaeger(settings: Settings) -> list[Problem]:
    first, last = compatibility.OLDEST_JAEGER_V2, compatibility.LAST_JAEGER_V1
    if not last < settings.jaeger_version < first:
        return []
    return [
        Problem(
            "jaegerVersion",
            f"{settings.jaeger_version} does not exist",
            f"v1 ended with {last}, and v2 began with {first}",
        )
    ]
