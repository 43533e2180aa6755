"""A bundle finds what Jaeger would find, and knows what it was asked."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ktrace.bundle.spans import Kept, Query, Searchable, is_complete, joined
from ktrace.jaeger import tags as spelling
from tests.fakes.jaeger import URL, span, trace
from tests.fakes.store import Store

SERVICES, OPERATIONS = ("kubelet", "apiserver"), ("syncPod", "Create")
VALUES = ("default/a", "default/b", "a.b", "\\", "(x)?")
times = st.integers(1_000_000, 1_000_050)
tags = st.dictionaries(st.sampled_from(("k8s.pod", "key")), st.sampled_from(VALUES), max_size=2)
queries = st.builds(
    Query,
    st.sampled_from(SERVICES),
    st.sampled_from(("", *OPERATIONS)),
    tags,
    times,
    times,
    st.sampled_from((0, 10, 11)),
    st.sampled_from((None, 1, 500)),
)


@st.composite
def traces(draw: st.DrawFn) -> list[dict[str, Any]]:
    found = []
    for number in range(draw(st.integers(1, 4))):
        spans = []
        for place in range(draw(st.integers(1, 3))):
            service, operation = draw(st.sampled_from(SERVICES)), draw(st.sampled_from(OPERATIONS))
            made = span(service, operation, draw(times), **draw(tags))
            spans.append({**made, "traceID": f"a{number:031x}", "spanID": f"{place:016x}"})
        found.append(trace(*spans, trace_id=f"a{number:031x}"))
    return found


def parameters(query: Query, *, escaped: bool = False) -> dict[str, str]:
    told = {key: spelling.escaped(text) if escaped else text for key, text in query.tags.items()}
    return {
        "service": query.service,
        **({"operation": query.operation} if query.operation else {}),
        **({"tags": json.dumps(told)} if told else {}),
        "start": str(query.start),
        "end": str(query.end),
        "minDuration": f"{query.shortest}us",
        "limit": "100",
    }


@given(traces(), queries)
def test_it_finds_what_jaegers_memory_finds(found: list[dict[str, Any]], query: Query) -> None:
    request = httpx.Request("GET", f"{URL}/api/traces", params=parameters(query))
    expected = {held["traceID"] for held in Store(found).answer(request).json()["data"]}
    kept = Kept()
    kept.add(found)
    answer = json.loads(Searchable(kept.resource_spans()).search(query, 100))
    assert {held["traceID"] for held in answer} == expected


@given(queries)
def test_a_query_is_read_as_it_was_sent(query: Query) -> None:
    for escaped in (False, True):
        read = Query.of(parameters(query, escaped=escaped), patterns=escaped)
        assert replace(read, cut_at=query.cut_at) == query
    assert Query.read(json.loads(json.dumps(query.document()))) == query


@given(st.lists(queries, max_size=8), traces())
def test_joined_searches_cover_the_same(asked: list[Query], found: list[dict[str, Any]]) -> None:
    """What a search finds, those that cover it find together; and none covers more than before."""
    kept = Kept()
    kept.add(found)
    spans = Searchable(kept.resource_spans())

    def ids(queries: list[Query]) -> set[str]:
        return {
            held["traceID"] for query in queries for held in json.loads(spans.search(query, 100))
        }

    whole = joined(query for query in asked if query.start <= query.end)
    assert len(whole) <= len(asked)
    assert ids(whole) == ids([query for query in asked if query.start <= query.end])
    for query in asked:
        if query.start <= query.end:
            assert any(known.covers(query, query.cut_at or 0) for known in whole)
            assert any(known.replaces(query) for known in whole)


@given(queries, queries, st.sampled_from((1, 20, 500)))
def test_an_answer_that_may_lack_traces_answers_no_other_search(
    asked: Query, other: Query, limit: int
) -> None:
    cut, whole = replace(asked, cut_at=20), replace(asked, cut_at=None)
    alike = replace(other, start=asked.start, end=asked.end, cut_at=None) == whole
    assert cut.covers(other, limit) == (whole.covers(other, limit) and alike and limit <= 20)
    assert other.cut_at is not None or not cut.replaces(other)


@pytest.mark.parametrize(
    ("limit", "rows", "complete"),
    [(3, None, True), (2, None, False), (3, 3, True), (3, 2, False), (2, 9, False)],
)
def test_an_answer_as_long_as_it_may_be_is_not_complete(
    limit: int, rows: int | None, complete: bool
) -> None:
    one, two = trace(span("kubelet", "a")), trace(*(span("kubelet", "b") for _ in range(5)))
    assert is_complete(limit, [one, two], rows) is complete


def test_a_search_that_was_cut_is_complete_once_its_parts_are() -> None:
    cut = Query("kubelet", start=0, end=100, cut_at=500)
    parts = [Query("kubelet", start=50, end=100), Query("kubelet", start=0, end=49)]
    assert joined([cut, *parts]) == [Query("kubelet", start=0, end=100)]
    assert joined([cut, parts[0]]) == [cut, parts[0]]


@given(traces(), traces())
def test_what_grows_is_kept_once(first: list[dict[str, Any]], second: list[dict[str, Any]]) -> None:
    kept = Kept()
    for _ in range(2):
        kept.add(first)
    once = Kept()
    once.add(first)
    assert kept.resource_spans() == once.resource_spans()
    kept.add(second)
    assert {found.id for found in Searchable(kept.resource_spans()).traces} == {
        found["traceID"] for found in (*first, *second)
    }
