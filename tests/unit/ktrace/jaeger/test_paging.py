"""More traces than one answer holds, in a store with an order of its own."""

from __future__ import annotations

import pytest

from ktrace.jaeger import paging
from tests.fakes.jaeger import client, span, trace
from tests.fakes.store import Store

NOW = 1_700_000_000_000_000


def filled(*starts: int) -> Store:
    return Store(
        trace(span("kubelet", "syncPod", at), trace_id=f"t{number}")
        for number, at in enumerate(starts)
    )


def found(store: Store, most: int = 20_000, start: int = 0) -> tuple[int, bool]:
    traces, whole = client(store.answer).find_all("kubelet", start=start, end=NOW, most=most)
    return len({trace.id for trace in traces}), whole


def test_a_period_that_begins_long_before_the_first_trace_costs_no_searches() -> None:
    store = filled(*(NOW - 600_000_000 + number for number in range(2000)))
    assert found(store) == (2000, True)
    assert store.searches <= 20


@pytest.mark.parametrize("gap", [1_000, 30_000_000])
def test_few_traces_are_read_twice(gap: int) -> None:
    """A dense second or few traces in a day, and a busy hour after it."""
    store = filled(
        *(NOW - 90_000_000_000 + number * gap for number in range(1000)),
        *(NOW - 3_600_000_000 + number * 1_000_000 for number in range(3000)),
    )
    assert found(store) == (4000, True)
    assert store.found < 1.6 * 4000
    assert store.searches <= 20


def test_traces_that_arrived_in_another_order_are_all_found() -> None:
    """Jaeger's memory store answers with those that arrived last."""
    starts = [NOW - number * 1000 for number in range(1700)]
    assert found(filled(*starts)) == (1700, True)
    assert found(filled(*starts[::2], *starts[1::2])) == (1700, True)


def test_exactly_as_many_as_an_answer_holds_are_all() -> None:
    assert found(filled(*(NOW - number for number in range(paging.PAGE)))) == (paging.PAGE, True)


def test_a_crowd_among_few_is_found() -> None:
    crowd = [NOW - 1000 + 2 * (number % 3) for number in range(1200)]
    assert found(filled(5, 6, 7, *crowd)) == (1203, True)


def test_more_in_one_moment_than_an_answer_holds_are_told() -> None:
    assert found(filled(*([NOW - 5] * 700))) == (paging.PAGE, False)


def test_traces_with_spans_at_all_times_do_not_make_it_endless() -> None:
    spans = [NOW - 100_000 + number * 100 for number in range(1000)]
    long = [
        trace(*(span("kubelet", "syncPod", at) for at in spans[::50]), trace_id=f"t{number}")
        for number in range(paging.PAGE + 1)
    ]
    store = Store(long)
    number, whole = found(store)
    assert not whole
    assert number >= paging.PAGE
    assert store.searches <= 400
