"""What each kind of store is sent, and how the client learns which one it is."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from ktrace.jaeger import Jaeger, JaegerError, api, paging, store
from ktrace.jaeger.model import Span, Trace
from ktrace.jaeger.search import Search
from ktrace.jaeger.store import BADGER, CASSANDRA, LUCENE, MEMORY, TEXT, UNKNOWN, Store
from tests.fakes.clock import Clock
from tests.fakes.jaeger import client, data, span, trace

NOW = 1_700_000_000_000_000
DAY = 24 * 3600 * 1_000_000
SHARDS = "search services failed: elastic: Error 503 (Service Unavailable): all shards failed"


def refusal(reason: str) -> httpx.Response:
    return httpx.Response(500, json={"data": None, "errors": [{"code": 500, "msg": reason}]})


def sent(
    found: Store, answer: Callable[[], httpx.Response] = data, **search: Any
) -> list[dict[str, str]]:
    """The parameters of the requests of one search."""
    requests: list[dict[str, str]] = []

    def keep(request: httpx.Request) -> httpx.Response:
        requests.append(dict(request.url.params))
        return answer()

    client(keep, found).find("kubelet", **search)
    return requests


@pytest.mark.parametrize("found", [MEMORY, BADGER, CASSANDRA], ids=lambda store: store.name)
def test_a_value_is_sent_as_it_is(found: Store) -> None:
    (query,) = sent(found, tags={"a": "x.y(z)"})
    assert json.loads(query["tags"]) == {"a": "x.y(z)"}


def test_a_value_is_sent_as_the_pattern_of_itself() -> None:
    special = '.?+*|{}[]()"\\#@&<>~'
    (query,) = sent(LUCENE, tags={"a": f"x{special}/y-z_1:2"})
    escaped = "".join(f"\\{character}" for character in special)
    assert json.loads(query["tags"]) == {"a": f"x{escaped}/y-z_1:2"}


@pytest.mark.parametrize(
    ("key", "value"), [("error", "true"), ("span.kind", "server"), ("otel.x", "y"), ("n", "1.5")]
)
def test_what_not_every_store_finds_is_not_sent(key: str, value: str) -> None:
    (query,) = sent(MEMORY, tags={key: value})
    assert "tags" not in query


def test_a_value_that_is_too_long_is_searched_for_by_reading() -> None:
    long = "v" * 300
    with_it = trace(span("kubelet", "syncPod", NOW - 5, a=long), trace_id="with")
    without = trace(span("kubelet", "syncPod", NOW - 4), trace_id="without")
    queries: list[dict[str, str]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        queries.append(dict(request.url.params))
        return data(*[without, with_it][: int(request.url.params["limit"])])

    search: dict[str, Any] = {"tags": {"a": long}, "start": NOW - 10, "end": NOW}
    (found,) = client(answer, LUCENE).find("kubelet", limit=1, **search)
    assert found.id == "with"
    assert all("tags" not in query for query in queries)
    (found,) = client(answer).find("kubelet", limit=1, tags={"a": long})
    assert "tags" in queries[-1]


def test_too_many_to_read_is_an_error_and_not_nothing() -> None:
    others = data(*(trace(span("kubelet", "b"), trace_id=f"t{n}") for n in range(500)))
    search: dict[str, Any] = {"tags": {"a": "v" * 300}, "start": 0, "end": 10_000}
    with pytest.raises(JaegerError, match=r"more traces of kubelet a=v.* is not known: its store"):
        client(lambda _: others, LUCENE).find("kubelet", **search)


def test_a_long_period_is_searched_in_parts_the_newest_first() -> None:
    parts = paging.periods(LUCENE, NOW - 65 * DAY, NOW)
    assert parts[0] == (NOW - 30 * DAY + 1, NOW)
    assert parts[-1][0] == NOW - 65 * DAY
    assert [newer[0] - 1 for newer in parts[:-1]] == [older[1] for older in parts[1:]]
    assert paging.periods(MEMORY, 0, NOW) == [(0, NOW)]
    assert paging.periods(LUCENE, 0, NOW)[-1][0] == NOW - 365 * DAY
    assert paging.periods(LUCENE, 1, 0) == paging.periods(MEMORY, 1, 0) == []


def test_what_a_stack_keeps_bounds_how_far_it_is_searched() -> None:
    assert store.of("opensearch", "48h").look_back == 3
    assert store.of("elasticsearch", "90m").look_back == 2
    assert store.of("opensearch").look_back == LUCENE.look_back
    assert store.of("opensearch", "90m").listed == 0
    for name in ("opensearch", "badger", "cassandra"):
        assert store.of(name, "48h").kept == 48
    assert store.of("memory", "48h").kept is None
    assert store.of("memory", "48h") is MEMORY
    assert store.of(None) is store.of("none") is UNKNOWN


def test_an_index_that_is_being_created_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock().drive(monkeypatch, api)
    answers = [refusal(SHARDS), refusal(SHARDS), data(trace(span("kubelet", "syncPod")))]
    begin = clock.now
    assert len(client(lambda _: answers.pop(0), LUCENE).find("kubelet")) == 1
    assert 0 < clock.now - begin < 2
    with pytest.raises(JaegerError, match="all shards failed"):
        client(lambda _: refusal(SHARDS), LUCENE).find("kubelet")
    assert clock.now - begin < 10


def unknown(answer: Callable[[dict[str, str]], Any]) -> tuple[Jaeger, list[dict[str, str]]]:
    """A client that was not told the store, whose Jaeger refuses or finds what ``answer`` says."""
    queries: list[dict[str, str]] = []

    def respond(request: httpx.Request) -> httpx.Response:
        queries.append(dict(request.url.params))
        told = answer(queries[-1])
        return refusal(told) if isinstance(told, str) else data(*told)

    return client(respond, UNKNOWN), queries


def holding(
    traces: list[dict[str, Any]], equal: Callable[[str, str], Any]
) -> Callable[[dict[str, str]], list[dict[str, Any]]]:
    """A store of ``traces`` that compares one wanted tag by ``equal``."""

    def answer(query: dict[str, str]) -> list[dict[str, Any]]:
        wanted = json.loads(query.get("tags", "{}"))
        found = [
            one
            for one in traces
            if not wanted
            or any(
                equal(wanted[tag["key"]], tag["value"])
                for one_span in one["spans"]
                for tag in one_span["tags"]
                if tag["key"] in wanted
            )
        ]
        return found[: int(query["limit"])]

    return answer


def values(queries: list[dict[str, str]]) -> list[str | None]:
    """The value of the tag in each query but the first, which asks for Cassandra."""
    assert "minDuration" in queries[0]
    tags = [json.loads(query.get("tags", "{}")) for query in queries[1:]]
    return [next(iter(found.values()), None) for found in tags]


def test_a_store_that_takes_patterns_is_learned_before_a_value_is_sent() -> None:
    held = trace(span("kubelet", "syncPod", NOW - 5, a="x.y"))
    jaeger, queries = unknown(holding([held], re.fullmatch))
    for _ in range(2):
        assert jaeger.find("kubelet", tags={"a": "x.y"}, start=NOW - 10, end=NOW)
    assert jaeger.store is LUCENE
    assert values(queries) == [None, "(x\\.y)", *["x\\.y"] * 2]


def test_a_store_that_takes_text_is_asked_once() -> None:
    held = trace(span("kubelet", "syncPod", NOW - 5, a="x.y"))
    jaeger, queries = unknown(holding([held], str.__eq__))
    for _ in range(3):
        assert jaeger.find("kubelet", tags={"a": "x.y"}, start=NOW - 10, end=NOW)
    assert jaeger.store is TEXT
    assert values(queries) == [None, "(x\\.y)", *["x.y"] * 3]


def test_a_value_that_looks_like_the_pattern_is_no_proof() -> None:
    held = trace(span("kubelet", "syncPod", NOW - 5, a="x.y"))
    like_it = trace(span("kubelet", "syncPod", NOW - 4, a="(x\\.y)"), trace_id="like it")
    jaeger, _ = unknown(holding([held, like_it], str.__eq__))
    assert jaeger.find("kubelet", tags={"a": "x.y"}, start=NOW - 10, end=NOW)
    assert jaeger.store is TEXT


def test_the_pattern_is_of_a_tag_that_a_span_of_the_period_has() -> None:
    """Of a trace Jaeger answers with spans that began outside of the period, too."""
    held = trace(
        span("kubelet", "earlier", NOW - DAY, a="earlier", b="both"),
        span("kubelet", "syncPod", NOW - 5, c="later", b="both"),
        span("apiserver", "Get", NOW - 4, d="of another service"),
    )
    jaeger, queries = unknown(lambda _: [held])
    jaeger.find("kubelet", tags={"a": "x"}, start=NOW - 10, end=NOW)
    assert values(queries)[1] == "(both)"
    alone = trace(span("kubelet", "a", NOW, a="one"), span("kubelet", "b", NOW, b="two"))
    jaeger, queries = unknown(lambda _: [alone])
    jaeger.find("kubelet", tags={"a": "x"}, start=NOW - 10, end=NOW)
    assert values(queries) == [None, "x"]
    assert jaeger.store is UNKNOWN


def test_a_store_without_a_trace_is_asked_again() -> None:
    held: list[dict[str, Any]] = []
    jaeger, _ = unknown(holding(held, re.fullmatch))
    search: dict[str, Any] = {"tags": {"a": "x.y"}, "start": NOW - 10, "end": NOW}
    assert jaeger.find("kubelet", **search) == []
    held.append(trace(span("kubelet", "syncPod", NOW - 5, a="x.y")))
    assert jaeger.find("kubelet", **search)
    assert jaeger.store is LUCENE


def test_a_search_without_tags_learns_cassandra() -> None:
    both = "cannot query for duration and tags simultaneously"
    jaeger, queries = unknown(lambda query: both if "minDuration" in query else [])
    jaeger.find("kubelet", start=NOW - 10, end=NOW)
    assert jaeger.store is CASSANDRA
    assert queries[-1]["start"] == str(NOW - 11), "it excludes the first microsecond"


@pytest.mark.parametrize(
    ("search", "sent"),
    [
        (Search("s"), {}),
        (Search("s", "op"), {"operation": "op"}),
        (Search("s", "o" * 300), {"operation": "o" * 300}),
        (Search("s", "op", {"a": "b"}), {"tags": '{"a": "b"}'}),
        (Search("s", "", {"a": "b", "uid": "longer"}), {"tags": '{"uid": "longer"}'}),
        (Search("s", "op", {"error": "true"}), {"operation": "op"}),
        (Search("s", "op", {"a": '{"b": 1}'}), {"operation": "op"}),
        (Search("s", "op", process={"stack": "x"}), {"operation": "op"}),
        (Search("s", process={"stack": "x", "owner": "y"}, shortest=5), {"tags": '{"stack": "x"}'}),
    ],
)
def test_cassandra_gets_one_condition(search: Search, sent: dict[str, str]) -> None:
    assert search.query(CASSANDRA) == {"service": "s", **sent}
    wanted = len(search.tags) + len(search.process) + bool(search.operation) + bool(search.shortest)
    assert search.is_sent_whole(CASSANDRA) == (len(sent) == wanted)


@pytest.mark.parametrize(("spans", "full"), [(2, False), (3, True)])
def test_an_answer_of_cassandra_may_lack_traces_though_it_is_short(spans: int, full: bool) -> None:
    """It reads three rows of an index for each wanted trace, and a span is a row."""
    of_one = [Span("t", str(number), None, "s", "op", number, 1, {}) for number in range(spans)] + [
        Span("t", "other", None, "elsewhere", "op", 1, 1, {})
    ]
    traces = [Trace("t", tuple(of_one))]
    assert CASSANDRA.rows == 3
    rows = Search("s", "op").rows(CASSANDRA, traces, None, None)
    assert (rows >= CASSANDRA.rows) is full
    assert Search("s", "op").rows(CASSANDRA, traces, 1, 1) == 1


def test_cassandra_is_learned_from_what_it_refuses() -> None:
    both = "cannot query for duration and tags simultaneously"
    held = trace(span("kubelet", "syncPod", NOW - 5, a="x.y"))
    jaeger, queries = unknown(lambda query: both if "minDuration" in query else [held])
    assert jaeger.find("kubelet", tags={"a": "x.y"}, shortest=5)
    assert jaeger.find("kubelet", tags={"a": "x.y"}, shortest=500_000) == []
    assert jaeger.store is CASSANDRA
    assert "minDuration" not in queries[-1]


def test_a_refusal_that_names_every_day_is_a_short_message() -> None:
    line = "jaeger-span-1970-01-01," * 20_000
    with pytest.raises(JaegerError) as raised:
        client(lambda _: refusal(line), LUCENE).find("kubelet")
    assert len(str(raised.value)) < 600


def test_a_memory_that_holds_few_traces_is_asked_for_fewer() -> None:
    limits: list[int] = []

    def answer(request: httpx.Request) -> httpx.Response:
        limits.append(int(request.url.params["limit"]))
        if limits[-1] > 100:
            return refusal("search depth must be greater than 0 and less than max traces")
        return data(trace(span("kubelet", "syncPod", NOW - 5)))

    jaeger = client(answer)
    for _ in range(2):
        found, whole = jaeger.find_all("kubelet", start=NOW - 10, end=NOW, most=20_000)
        assert (len(found), whole) == (1, True)
    assert limits == [500, 250, 125, 62, 62]


def test_a_trace_that_was_cut_is_read_whole_once_for_each_length() -> None:
    whole = trace(
        span("kubelet", "syncPod", NOW - DAY), span("kubelet", "call", NOW - 5, parent="syncPod")
    )
    cut = {**whole, "spans": whole["spans"][1:]}
    paths: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        paths.append(request.url.path)
        return data(whole if request.url.path.endswith("/t1") else cut)

    jaeger = client(answer, LUCENE)
    for _ in range(2):
        (found,) = jaeger.find("kubelet", "call", start=NOW - 10, end=NOW)
        assert [span.operation for span in found.spans] == ["syncPod", "call"]
    assert paths == ["/api/traces", "/api/traces/t1", "/api/traces"]


def test_what_a_store_finds_too_much_is_left_out() -> None:
    """A pattern's other matches, tags on two spans, and a tag of an event."""
    wrong = trace(
        span("kubelet", "a", 1, a="aXb"), span("kubelet", "b", 2, b="c"), trace_id="wrong"
    )
    right = trace(span("kubelet", "a", 3, a="a.b", b="c"), trace_id="right")
    jaeger = client(lambda _: data(wrong, right))
    assert [found.id for found in jaeger.find("kubelet", tags={"a": "a.b"})] == ["right"]
    assert [found.id for found in jaeger.find("kubelet", tags={"a": "a.b", "b": "c"})] == ["right"]
