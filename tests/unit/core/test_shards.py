"""Whether a cluster has room for a stack's shards."""

from __future__ import annotations

import json
from typing import Any

import pytest

from runtime_observability.core import shards
from runtime_observability.core.search_engine import Answer, UnfitError
from runtime_observability.core.shards import Room, WantedIndices

HEALTH: dict[str, Any] = {
    "number_of_data_nodes": 2,
    "active_shards": 90,
    "initializing_shards": 4,
    "unassigned_shards": 6,
}
LISTED = [
    {"index": "a-jaeger-span-2026-01-01", "pri": "3", "rep": "1"},
    {"index": "a-jaeger-service-2026-01-01", "pri": "1", "rep": "0"},
    {"index": "a-jaeger-span-2025-12-31", "pri": "", "rep": ""},
]


def answer(body: object, status: int = 200) -> Answer:
    return Answer(body if isinstance(body, str) else json.dumps(body), status, 0, "")


def limits(**kinds: str) -> Answer:
    return answer({kind: {"cluster": {"max_shards_per_node": of}} for kind, of in kinds.items()})


@pytest.mark.parametrize(
    ("limit", "per_node"),
    [
        (limits(defaults="1000"), 1000),
        (limits(defaults="1000", persistent="500"), 500),
        (limits(defaults="1000", persistent="500", transient="70"), 70),
    ],
)
def test_what_others_have_there_is_counted_with_every_copy(limit: Answer, per_node: int) -> None:
    """The stack's own are in the 100, and no others'."""
    assert shards.room(limit, answer(HEALTH), answer(LISTED)) == Room(per_node, 2, 100 - 7)


@pytest.mark.parametrize(
    ("limit", "health", "listed"),
    [
        (answer({"error": "no permissions"}, 403), answer(HEALTH), answer(LISTED)),
        (answer({}), answer(HEALTH), answer(LISTED)),
        (limits(defaults="1000"), answer("", 503), answer(LISTED)),
        (limits(defaults="1000"), answer({"number_of_data_nodes": 1}), answer(LISTED)),
        (limits(defaults="1000"), answer(HEALTH), answer([{"index": "a"}])),
    ],
)
def test_what_is_not_told_is_not_known(limit: Answer, health: Answer, listed: Answer) -> None:
    assert shards.room(limit, health, listed) is None


def test_days_that_do_not_fit_are_refused_with_those_that_do() -> None:
    found = Room(per_node=100, nodes=2, others=80)  # room for 120
    shards.refuse_too_many(found, WantedIndices(days=9, shards=3, replicas=1))
    with pytest.raises(UnfitError) as refused:
        shards.refuse_too_many(found, WantedIndices(days=10, shards=3, replicas=1))
    assert str(refused.value) == (
        "traceRetention 10d makes 132 shards (2 indices a day, traceStoreShards 3, 2 of each), and "
        "it has room for 120: it takes 100 (cluster.max_shards_per_node) on each of its 2 nodes "
        "with data, and has 80 of others; it would refuse new days: set traceRetention to 9d, or "
        "raise that setting, or remove indices"
    )


def test_no_number_of_days_is_named_where_none_fits() -> None:
    with pytest.raises(UnfitError, match=r"it has room for 0: .* new days: raise that setting, or"):
        shards.refuse_too_many(Room(per_node=100, nodes=1, others=120), WantedIndices(1, 1, 0))
