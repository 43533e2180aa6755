"""Rules about an OpenSearch of the stack's own."""

from __future__ import annotations

from runtime_observability.core import compatibility, stores
from runtime_observability.core.problem import Problem
from runtime_observability.core.settings.model import LEAST_HEAP_MIB, Settings

_OF_A_CLUSTER = {
    "traceStoreUser": "trace_store_user",
    "traceStorePassword": "trace_store_password",
    "traceStoreCaFile": "trace_store_ca_file",
}


def refuse_an_unfit_open_search(settings: Settings) -> list[Problem]:
    """What valid values of these keys, together, cannot be."""
    if not settings.has_own_open_search:
        return []
    return [
        *_refuse_a_login(settings),
        *_refuse_copies(settings),
        *_refuse_a_heap_without_memory(settings),
        *_refuse_more_shards_than_a_node_takes(settings),
        *_refuse_a_release_that_jaeger_does_not_know(settings),
    ]


def _refuse_a_login(settings: Settings) -> list[Problem]:
    return [
        Problem(
            key,
            "it cannot be used without openSearchUrls",
            "the stack's own OpenSearch has no login and no TLS",
            "leave it out, or name a cluster in openSearchUrls",
        )
        for key, name in _OF_A_CLUSTER.items()
        if getattr(settings, name)
    ]


def _refuse_copies(settings: Settings) -> list[Problem]:
    if settings.trace_store_replicas <= 0:
        return []
    return [
        Problem(
            "traceStoreReplicas",
            f"{settings.trace_store_replicas} cannot be used without openSearchUrls",
            "the stack's own OpenSearch is one node, and a copy needs another",
            "leave it out, or name a cluster in openSearchUrls",
        )
    ]


def _refuse_a_heap_without_memory(settings: Settings) -> list[Problem]:
    heap, memory = settings.open_search_heap_mib, settings.open_search_memory_mib
    needed = stores.own_memory_for(heap)
    if memory >= needed:
        return []
    fits = stores.own_heap_for(memory)
    smaller = f", or openSearchHeapMiB to {fits}" if fits >= LEAST_HEAP_MIB else ""
    return [
        Problem(
            "openSearchHeapMiB",
            f"{heap} does not fit into openSearchMemoryMiB {memory}",
            f"Java takes up to half of it again for buffers, and {stores.JAVA_MIB} for itself",
            f"set openSearchMemoryMiB to {needed}{smaller}",
        )
    ]


def _refuse_more_shards_than_a_node_takes(settings: Settings) -> list[Problem]:
    """An existing cluster is asked for its limit before Jaeger is replaced (shards.py)."""
    days, shards = stores.days(settings.trace_retention), settings.trace_store_shards
    wanted = stores.shards(days, shards)
    if wanted <= stores.OWN_MOST_SHARDS:
        return []
    fewer = max(n for n in range(1, shards) if stores.shards(days, n) <= stores.OWN_MOST_SHARDS)
    return [
        Problem(
            "traceStoreShards",
            f"{shards} cannot be used with traceRetention {days}d",
            f"each day has two indices, so that there would be {wanted} shards, and one node has "
            f"room for {stores.OWN_MOST_SHARDS}: it would refuse new days",
            f"set it to {fewer}, or choose a shorter traceRetention",
        )
    ]


def _refuse_a_release_that_jaeger_does_not_know(settings: Settings) -> list[Problem]:
    release, jaeger = settings.open_search_version, settings.jaeger_version
    oldest = compatibility.JAEGER_KNOWS_ENGINE[stores.OPENSEARCH].get(release.major)
    if oldest is None:
        why = f"no release of Jaeger that was checked knows OpenSearch {release.major}"
        cure = f"use a release before {release.major}.0.0"
    elif jaeger < oldest:
        why = f"before {oldest} Jaeger does not know OpenSearch {release.major}"
        cure = f"set jaegerVersion to {oldest} or newer"
    else:
        return []
    seen = f"{release} cannot be used with jaegerVersion {jaeger}"
    return [Problem("openSearchVersion", seen, why, cure)]
