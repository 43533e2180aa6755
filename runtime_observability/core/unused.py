"""Keys that are set and have no effect beside the others. Pure.

Pulumi passes on a default and the same value set by hand alike, so only other values are known to
be set. Images are left out: they may be set for all of somebody's stacks.
"""

from __future__ import annotations

from runtime_observability.core import stores
from runtime_observability.core.settings.model import Settings
from runtime_observability.core.tracing import Tracing


def lines(settings: Settings) -> list[str]:
    """One for each reason, with the keys that it is about."""
    unused = {
        f"traceStore is {settings.trace_store}": _of_the_store(settings),
        f"tracing is {settings.tracing}": (
            () if settings.tracing == "errors-and-slow" else ("slowerThan",)
        ),
        "traceProbe is false": (
            () if settings.trace_probe else ("probeTimeoutSeconds", "probeImage")
        ),
    }
    told = []
    for why, keys in unused.items():
        if found := [key for key in keys if settings.is_set(key)]:
            told.append(f"{', '.join(found)}: set, but without effect while {why}")
    return told + _untraced(settings)


def _untraced(settings: Settings) -> list[str]:
    """Components that an exporter names, and that send nothing."""
    shares = Tracing(settings).shares
    return [
        f"exporters.{number}.only: no traces of {', '.join(silent)} are sent to {exporter.label}, "
        "as there are none"
        for number, exporter in enumerate(settings.exporters)
        if "traces" in exporter.signals
        and (silent := [name for name in exporter.only if not shares.get(name)])
    ]


def _of_the_store(settings: Settings) -> tuple[str, ...]:
    store = settings.trace_store
    return (
        *(() if settings.has_jaeger else ("jaegerVersion", "jaegerMemoryMiB")),
        *(() if store == stores.MEMORY else ("jaegerMaxTraces",)),
        *(("traceRetention",) if store in (stores.MEMORY, stores.NONE) else ()),
        *(("keepTraces",) if store == stores.CASSANDRA else ()),
        *(
            ()
            if settings.has_own_open_search
            else ("openSearchVersion", "openSearchHeapMiB", "openSearchMemoryMiB")
        ),
    )
