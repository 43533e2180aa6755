"""Rules about ``exporters``: what they may be beside each other, the collector and the stack."""

from __future__ import annotations

import json

from runtime_observability.core import compatibility
from runtime_observability.core.destinations import MIB_FOR_A_QUEUE
from runtime_observability.core.problem import Problem
from runtime_observability.core.settings.exporter import OF_JAEGER
from runtime_observability.core.settings.model import Settings

_THIS_MACHINE = ("host.docker.internal", "gateway.docker.internal")
"""As a container of Docker Desktop calls it, which reaches the ports on 127.0.0.1 by these names
(docs.docker.com/desktop/features/networking)."""


def refuse_unfit_exporters(settings: Settings) -> list[Problem]:
    return [
        *_refuse_exporters_of_one_name(settings),
        *_refuse_one_destination_twice(settings),
        *_refuse_exporters_to_itself(settings),
        *_refuse_exporters_of_an_old_collector(settings),
        *_refuse_exporters_without_memory(settings),
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
