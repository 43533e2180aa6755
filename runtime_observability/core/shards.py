"""Whether a cluster has room for the shards of a stack's indices, which it counts. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from runtime_observability.core import stores
from runtime_observability.core.search_engine import Answer, UnfitError

LIMIT = "/_cluster/settings?include_defaults=true&filter_path=*.cluster.max_shards_per_node"
"""The path that tells of how many shards a cluster refuses a further index."""
_FIRST = ("transient", "persistent", "defaults")
"""Which of them counts, if it has the setting."""


@dataclass(frozen=True)
class WantedIndices:
    """The indices that Jaeger is to have."""

    days: int
    shards: int
    """Of each index."""
    replicas: int
    """Of each shard."""


@dataclass(frozen=True)
class Room:
    """Counted with every copy (OpenSearch 2.19.6 ShardLimitValidator.java)."""

    per_node: int
    nodes: int
    """Those with data."""
    others: int
    """The shards there that are not the stack's."""


def room(limit: Answer, health: Answer, listed: Answer) -> Room | None:
    """From the answers to ``LIMIT``, ``GET /_cluster/health`` and the list of the stack's indices.

    None where one of them does not tell: a user may not be allowed to see it.
    """
    try:
        settings: Mapping[str, Any] = json.loads(limit.body)
        (per_node, *_) = (
            settings[kind]["cluster"]["max_shards_per_node"] for kind in _FIRST if kind in settings
        )
        of_all: Mapping[str, Any] = json.loads(health.body)
        states = ("active_shards", "initializing_shards", "unassigned_shards")
        there = sum(int(of_all[state]) for state in states)
        own = sum(
            int(index["pri"]) * (1 + int(index["rep"]))
            for index in json.loads(listed.body)
            if index["pri"]  # none of an index that is closed
        )
        return Room(int(per_node), int(of_all["number_of_data_nodes"]), there - own)
    except (ValueError, LookupError, TypeError):
        return None


def refuse_too_many(found: Room, wanted: WantedIndices) -> None:
    """Raises UnfitError where the cluster would refuse a new day before the oldest goes."""
    copies = 1 + wanted.replicas
    makes = stores.shards(wanted.days, wanted.shards) * copies
    fit = found.per_node * found.nodes - found.others
    if makes <= fit:
        return
    fewer = fit // (stores.shards(0, wanted.shards) * copies) - 1
    cure = f"set traceRetention to {fewer}d, or " if fewer > 0 else ""
    raise UnfitError(
        f"traceRetention {wanted.days}d makes {makes} shards (2 indices a day, traceStoreShards "
        f"{wanted.shards}, {copies} of each), and it has room for {max(0, fit)}: it takes "
        f"{found.per_node} (cluster.max_shards_per_node) on each of its {found.nodes} nodes with "
        f"data, and has {found.others} of others; it would refuse new days: {cure}raise that "
        "setting, or remove indices"
    )
