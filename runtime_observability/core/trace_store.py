"""Where Jaeger keeps traces: what each store needs, and Jaeger's configuration for it. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Literal

from runtime_observability.core.settings.rule import RuleError

if TYPE_CHECKING:  # its library takes longer to load than everything else here
    from runtime_observability.core.settings.model import Settings

TraceStore = Literal["memory", "badger", "none"]
MEMORY: TraceStore = "memory"
NONE: TraceStore = "none"
"""The stack has no Jaeger: the collector sends to `exporters` alone."""

VOLUME_PATH = "/data"
"""Where the volume of the traces is mounted in Jaeger's container."""
BADGER_FOLDERS = ("keys", "values")
"""Below ``VOLUME_PATH``: Badger's two kinds of files."""

SPAN_KIB = 1.35
"""What a span takes in Jaeger's memory store, in KiB (measured with Jaeger 2.13.0: 1.2 to 1.35)."""
SPANS_OF_A_TRACE = 3
"""On average, in a cluster at rest (measured: 1,014 spans in 388 traces a minute); starts of pods
have about 20."""
_EMPTY_MIB = 60
"""What Jaeger takes without a trace, in MiB (measured: 56)."""
_HEAP = 0.8
"""The share of the container's memory that Go's heap may take (GOMEMLIMIT)."""
LEAST_BADGER_MIB = 512
"""Jaeger with Badger took 460 MiB after 36,000 spans (measured with Jaeger 2.13.0)."""

_RETENTION = re.compile(r"(\d{1,5})([hd])\Z", re.ASCII)
_HOURS = {"h": 1, "d": 24}
_MOST_HOURS = 24 * 365


def retention(text: str) -> str:
    """``text``, such as 48h or 14d, in hours. Raises RuleError for anything else."""
    match = _RETENTION.match(text)
    hours = int(match[1]) * _HOURS[match[2]] if match else 0
    if not 1 <= hours <= _MOST_HOURS:
        raise RuleError(
            "a retention is a whole number of hours or days, from 1h to 365d", "for instance 48h"
        )
    return f"{hours}h"


def memory_for(max_traces: int) -> int:
    """The smallest memory limit, in MiB, in which Jaeger's memory store can hold that many."""
    held_mib = max_traces * SPANS_OF_A_TRACE * SPAN_KIB / 1024
    return int((held_mib + _EMPTY_MIB) / _HEAP)


def traces_for(memory_mib: int) -> int:
    """How many traces fit into that memory limit, rounded down to a thousand."""
    held_mib = memory_mib * _HEAP - _EMPTY_MIB
    return max(0, int(held_mib * 1024 / SPAN_KIB / SPANS_OF_A_TRACE) // 1000 * 1000)


def backend(settings: Settings) -> dict[str, Any]:
    """Jaeger v2's backend: an entry of ``jaeger_storage.backends``, named after the store."""
    if settings.trace_store == MEMORY:
        return {"memory": {"max_traces": settings.jaeger_max_traces}}
    keys, values = (f"{VOLUME_PATH}/{folder}" for folder in BADGER_FOLDERS)
    return {
        "badger": {
            "directories": {"keys": keys, "values": values},
            "ephemeral": False,
            "ttl": {"spans": settings.trace_retention},
        }
    }


def v1_environment(settings: Settings) -> dict[str, str]:
    """The variables that select and configure the store of Jaeger v1's all-in-one."""
    if settings.trace_store == MEMORY:
        return {"MEMORY_MAX_TRACES": str(settings.jaeger_max_traces)}
    keys, values = (f"{VOLUME_PATH}/{folder}" for folder in BADGER_FOLDERS)
    return {
        "SPAN_STORAGE_TYPE": "badger",
        "BADGER_EPHEMERAL": "false",
        "BADGER_DIRECTORY_KEY": keys,
        "BADGER_DIRECTORY_VALUE": values,
        "BADGER_SPAN_STORE_TTL": settings.trace_retention,
    }
