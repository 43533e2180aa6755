"""What the client finds in every store, compared with what was sent."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any

import pytest

from ktrace.jaeger import Jaeger, Trace, tags
from ktrace.text import clean
from tests.contract import spans
from tests.contract.jaeger_process import Process
from tests.contract.spans import HOUR, NOW, SECOND, SERVICE, VALUES, ids, name_of

START, END = NOW - HOUR, NOW + HOUR


def found(jaeger: Jaeger, **search: Any) -> set[str]:
    """The ids of all traces of the service, from an hour before to an hour after the sending."""
    whole: dict[str, Any] = {"service": SERVICE, "start": START, "end": END, "most": 10_000}
    whole |= search
    traces, complete = jaeger.find_all(**whole)
    assert complete
    return {trace.id for trace in traces}


def named(*names: str) -> set[str]:
    return {ids(name)[0] for name in names}


def text_of(value: Any) -> str:
    return value if isinstance(value, str) else tags.text_of(value)


@pytest.mark.parametrize("value", VALUES, ids=lambda value: clean(name_of(value))[:40])
def test_a_value_finds_itself_alone(jaeger: Jaeger, value: Any) -> None:
    equal = [other for other in VALUES if _equal(text_of(value), other)]
    wanted = named(*map(name_of, equal))
    assert found(jaeger, tags={"value": text_of(value)}) == wanted
    one = jaeger.find(SERVICE, tags={"value": text_of(value)}, start=START, end=END, limit=1)
    assert {trace.id for trace in one} <= wanted
    assert len(one) == 1


def test_a_value_finds_itself_where_a_day_has_spans_of_before_the_period_alone(
    jaeger: Jaeger,
) -> None:
    """A store with an index for each day never reads a tag's value in that day's."""
    start = NOW - 29 * 24 * HOUR + SECOND
    assert found(jaeger, tags={"value": "what?"}, start=start) == named(name_of("what?"))


def _equal(written: str, value: Any) -> bool:
    """As a person would: text as text, a number as a number."""
    if isinstance(value, str | bool):
        return clean(written) == clean(text_of(value))
    try:
        return Decimal(written) == Decimal(str(value))
    except InvalidOperation:
        return False


ABSENT = ["", "default/a", "default/a_b", "web-0", ".", "(", "[", "{", "\\", "]", "v" * 299]


@pytest.mark.parametrize("value", ABSENT)
def test_a_value_that_no_span_has_finds_nothing(jaeger: Jaeger, value: str) -> None:
    assert found(jaeger, tags={"value": value}) == set()
    assert jaeger.find(SERVICE, tags={"value": value}, start=START, end=END) == []


@pytest.mark.parametrize(
    ("key", "value", "wanted"),
    [
        ("error", "true", named("failed")),
        ("span.kind", "server", named("failed")),
        ("span.kind", "client", named("succeeded")),
        ("otel.status_code", "ERROR", named("failed")),
        ("otel.scope.name", "other.scope", named("unset")),
    ],
)
def test_tags_that_jaeger_makes_are_found(
    jaeger: Jaeger, key: str, value: str, wanted: set[str]
) -> None:
    assert found(jaeger, operation="made by Jaeger", tags={key: value}) == wanted


def test_tags_of_the_process_are_found(jaeger: Jaeger) -> None:
    assert found(jaeger, tags={"host.name": "node.a"}) == named("process")
    assert found(jaeger, tags={"host.name": "node.a", "number": "5"}) == named("process")
    assert found(jaeger, tags={"host.name": "nodeXa"}) == set()
    assert named("process") <= found(jaeger, tags={"service.name": SERVICE})
    assert found(jaeger, tags={"service.name": "contrac."}) == set()


def test_tags_of_an_event_are_not_found(jaeger: Jaeger) -> None:
    assert found(jaeger, tags={"value": "of an event"}) == set()


def test_all_tags_are_of_one_span(jaeger: Jaeger) -> None:
    assert found(jaeger, tags={"color": "red", "size": "big"}) == named("two spans")
    assert found(jaeger, tags={"color": "red", "taste": "no"}) == set()
    assert found(jaeger, operation="two", tags={"color": "red"}) == set()


def test_a_service_has_its_own_spans_alone(jaeger: Jaeger) -> None:
    tag = {"color": "red"}
    assert found(jaeger, service="other.service", tags=tag) == named("other service")
    assert found(jaeger, tags=tag) == named("two spans")
    assert found(jaeger, service="otherXservice") == found(jaeger, service="nobody") == set()


def test_a_long_operation_is_found(jaeger: Jaeger) -> None:
    assert found(jaeger, operation="operation " + spans.LONG) == named("long operation")
    assert found(jaeger, operation="operation " + spans.LONG[1:]) == set()
    assert found(jaeger, operation="Operation") == set()


def test_more_traces_than_an_answer_holds_are_all_found(jaeger: Jaeger) -> None:
    assert len(found(jaeger, service=spans.CROWD)) == spans.IN_THE_CROWD
    newest, whole = jaeger.find_all(spans.CROWD, start=START, end=END, most=300)
    assert not whole
    assert len(newest) >= 300


@pytest.mark.parametrize("limit", [0, 1, 2, 499, 700, spans.IN_THE_CROWD, 100_000])
def test_a_limit_of_any_size_is_kept(jaeger: Jaeger, limit: int) -> None:
    traces = jaeger.find(spans.CROWD, start=START, end=END, limit=limit)
    assert len({trace.id for trace in traces}) == min(limit, spans.IN_THE_CROWD)


def test_a_period_includes_its_ends(jaeger: Jaeger) -> None:
    at = NOW - 100 * SECOND
    assert found(jaeger, operation="edge", start=at, end=at) == named("edge")
    assert found(jaeger, operation="edge", start=at, end=at + SECOND) == named("edge")
    assert found(jaeger, operation="edge", start=at - SECOND, end=at) == named("edge")
    assert found(jaeger, operation="edge", start=at + 1000, end=END) == set()
    assert found(jaeger, operation="edge", start=START, end=at - 1001) == set()


def test_a_period_that_ends_before_it_begins_is_empty(jaeger: Jaeger) -> None:
    assert found(jaeger, start=END, end=START) == set()
    assert jaeger.find(SERVICE, start=END, end=START) == []


def test_periods_of_any_length_are_searched(jaeger: Jaeger) -> None:
    tag = {"aged": "a.b"}
    assert found(jaeger, tags=tag) == named("0 days")
    month = NOW - 30 * 24 * HOUR
    assert found(jaeger, tags=tag, start=month) == named("0 days", "1 days", "29 days")
    ever = named("0 days", "1 days", "29 days", "31 days", "100 days")
    for start in (NOW - 400 * 24 * HOUR, 0):
        assert found(jaeger, tags=tag, start=start) == ever
        assert {trace.id for trace in jaeger.find(SERVICE, tags=tag, start=start)} == ever
        assert {trace.id for trace in jaeger.find(SERVICE, "aged", start=start)} == ever


def test_without_a_start_two_days_are_searched(jaeger: Jaeger) -> None:
    traces = jaeger.find(SERVICE, tags={"aged": "a.b"})
    assert {trace.id for trace in traces} == named("0 days", "1 days")


def test_a_duration_is_searched_with_tags_and_without(jaeger: Jaeger) -> None:
    tag = {"timed": "yes"}
    assert found(jaeger, operation="duration", tags=tag) == named("short", "lasting")
    for tagged in (tag, {}):
        search = {"operation": "duration", "tags": tagged}
        assert found(jaeger, shortest=10_000, **search) == named("short", "lasting")
        assert found(jaeger, shortest=10_001, **search) == named("lasting")
        assert found(jaeger, shortest=90_001, **search) == set()


def test_a_trace_is_whole_though_its_spans_begin_hours_apart(jaeger: Jaeger) -> None:
    wanted = ["hour 30", "hour 6", "hour 0"]
    for _ in range(2):
        (last,) = jaeger.find(SERVICE, "hour 0", start=START, end=END)
        assert [span.operation for span in last.spans] == wanted
        ((last,), _whole) = jaeger.find_all(SERVICE, "hour 0", start=START, end=END, most=9)
        assert [span.operation for span in last.spans] == wanted


def test_spans_of_one_microsecond_are_found_by_a_tag(jaeger: Jaeger, process: Process) -> None:
    twins = named("twin one", "twin two")
    assert found(jaeger, tags={"born": "together"}) == twins
    assert found(jaeger, operation="twin", tags={"born": "together"}) == twins
    by_operation = found(jaeger, operation="twin")
    # The key of Cassandra's index has the operation and the time alone.
    assert by_operation <= twins
    assert len(by_operation) == (1 if process.store == "cassandra" else 2)


def test_one_client_searches_for_text_before_and_after_patterns(jaeger: Jaeger) -> None:
    for value in ("default/web-0", "default/a.b", "default/web-0", "[a", "default/aXb"):
        assert found(jaeger, tags={"value": value}) == named(name_of(value))


def test_names_are_listed(jaeger: Jaeger) -> None:
    assert {SERVICE, spans.CROWD, "other.service"} <= set(jaeger.services())
    assert jaeger.operations(spans.CROWD, spans.NOW) == [spans.CROWD]
    assert jaeger.operations("nobody", spans.NOW) == []


def test_a_trace_is_read_by_its_id(jaeger: Jaeger) -> None:
    assert jaeger.trace("f" * 32) is None
    zeros = jaeger.find(SERVICE, "zeros", start=START, end=END)
    assert zeros == [jaeger.trace("000" + ids("zeros")[0][3:])]


def test_a_span_is_what_was_sent(jaeger: Jaeger) -> None:
    every, _ = jaeger.find_all(SERVICE, "op", start=START, end=END, most=10_000)
    values = {trace.id: trace.spans[0].tags["value"] for trace in every}
    assert {ids(name_of(value))[0]: shown(value) for value in VALUES} == values
    (failed,) = jaeger.find(SERVICE, "made by Jaeger", tags={"error": "true"}, start=START)
    assert [span.failed for span in failed.spans] == [True]
    (process,) = jaeger.find(SERVICE, "process", start=START, end=END)
    assert dict(_only(process).process) == {"host.name": "node.a", "number": 5}


def shown(value: Any) -> Any:
    """Jaeger has an integer as text that JavaScript cannot hold."""
    if isinstance(value, int) and abs(value) > 2**53:
        return str(value)
    return clean(value) if isinstance(value, str) else value


def _only(trace: Trace) -> Any:
    (span,) = trace.spans
    return span
