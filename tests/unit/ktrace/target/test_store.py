"""Which store a target's Jaeger has: only a stack tells."""

from __future__ import annotations

from typing import Any

import pytest

from ktrace.jaeger.store import BADGER, MEMORY, UNKNOWN
from ktrace.target.target import Target

URL = "http://127.0.0.1:16686"


@pytest.mark.parametrize(
    ("outputs", "name"),
    [
        ({}, MEMORY.name),
        ({"traceStore": "badger"}, BADGER.name),
        ({"traceStore": "none"}, "unknown"),
    ],
)
def test_a_stack_tells_its_store(outputs: dict[str, Any], name: str) -> None:
    assert Target(URL, None, {"jaegerUrl": URL, **outputs}).store.name == name


def test_retention_bounds_how_far_a_stacks_opensearch_is_searched() -> None:
    outputs = {"jaegerUrl": URL, "traceStore": "opensearch", "traceRetention": "48h"}
    assert Target(URL, None, outputs).store.look_back == 3


def test_the_store_of_another_jaeger_is_not_known() -> None:
    assert Target(URL, None).store is UNKNOWN
    other = Target("http://jaeger.example:16686", None, {"jaegerUrl": URL, "traceStore": "badger"})
    assert other.store is UNKNOWN
