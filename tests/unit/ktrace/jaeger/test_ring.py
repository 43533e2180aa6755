"""What a Jaeger that keeps its traces in memory has dropped is known from what it has left."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ktrace.jaeger import ring, store
from ktrace.jaeger.store import BADGER, MEMORY
from tests.fakes.jaeger import client, span, trace
from tests.fakes.store import Store

SECOND = 1_000_000
NOW = 1_700_000_000 * SECOND
SINCE = NOW - 600 * SECOND


@pytest.mark.parametrize(
    ("kept_in", "oldest", "expected"),
    [
        (MEMORY, NOW - 300 * SECOND, True),
        (MEMORY, SINCE - 60 * SECOND, False),
        # As a bundle names it: equal, and another object.
        (replace(store.of("memory"), is_known=True), NOW - 300 * SECOND, True),
        (BADGER, NOW - 300 * SECOND, False),
    ],
)
def test_a_full_memory_whose_oldest_trace_is_newer_may_have_dropped_some(
    kept_in: store.Store, oldest: int, *, expected: bool
) -> None:
    begins = [oldest, *(NOW - 200 * SECOND + number for number in range(950))]
    held = Store(
        trace(span("kubelet", "syncPod", at), trace_id=str(number))
        for number, at in enumerate(begins)
    )
    assert ring.may_lack(client(held.answer, kept_in), SINCE, NOW) is expected
