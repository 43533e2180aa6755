"""Rules for a stack without a Jaeger of its own (``traceStore: none``), and for ``queryUrl``."""

from __future__ import annotations

import json

from runtime_observability.core import stores
from runtime_observability.core.problem import Problem
from runtime_observability.core.settings.model import Settings

_MILLION = 1_000_000


def refuse(settings: Settings) -> list[Problem]:
    if settings.has_jaeger:
        return _refuse_another_jaeger(settings)
    return [
        *_refuse_no_destination(settings),
        *_refuse_a_secret_address(settings),
        *_refuse_what_is_about_jaeger(settings),
    ]


def _refuse_another_jaeger(settings: Settings) -> list[Problem]:
    if not settings.query_url:
        return []
    secret = "queryUrl" in settings.secret_keys
    return [
        Problem(
            "queryUrl",
            f"{'its secret value' if secret else json.dumps(settings.query_url)} cannot be used "
            f"with traceStore {settings.trace_store}",
            "the stack's own Jaeger is queried",
            f"set traceStore to {stores.NONE}, or leave queryUrl out",
        )
    ]


def _refuse_no_destination(settings: Settings) -> list[Problem]:
    if any("traces" in exporter.signals for exporter in settings.exporters):
        return []
    return [
        Problem(
            "traceStore",
            f"{stores.NONE} needs a destination for traces",
            "exporters has none: no trace would be kept anywhere",
            f"add one to exporters, or use traceStore {stores.MEMORY}",
        )
    ]


def _refuse_a_secret_address(settings: Settings) -> list[Problem]:
    if "queryUrl" not in settings.secret_keys:
        return []
    return [
        Problem(
            "queryUrl",
            "its secret value cannot be used",
            "it is in the outputs that ktrace reads, and never has a login",
            "set it without --secret",
        )
    ]


def _refuse_what_is_about_jaeger(settings: Settings) -> list[Problem]:
    """Keys that would have no effect although somebody has set them on purpose."""
    keys = (
        (
            "keepTraces",
            settings.keep_traces,
            "the stack keeps no traces",
            "set it to false, which leaves what another store has kept",
        ),
        (
            "tracing",
            settings.tracing != "everything",
            "it chooses what goes to the stack's own Jaeger",
            "leave it out: only and samplingPerMillion in exporters choose for each destination",
        ),
        (
            "collectorSamplingPerMillion",
            settings.collector_sampling_per_million != _MILLION,
            "it is about what goes to the stack's own Jaeger",
            "leave it out: samplingPerMillion in exporters is about each destination",
        ),
    )
    values = settings.model_dump(by_alias=True)
    return [
        Problem(
            key,
            f"{json.dumps(values[key])} cannot be used with traceStore {stores.NONE}",
            why,
            cure,
        )
        for key, is_set, why, cure in keys
        if is_set
    ]
