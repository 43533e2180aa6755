"""The search for what expectations select, and when its verdicts are final."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from ktrace.expect import search
from ktrace.expect.schema import Expectation, File
from ktrace.expect.search import wait_for_verdicts
from ktrace.expect.verdict import Verdict
from ktrace.jaeger import JaegerError, reader
from tests.fakes.clock import Clock
from tests.fakes.jaeger import client, data, span, trace
from tests.fakes.store import Store
from tests.unit.ktrace.expect.expectation import expect

SYNC = {"component": "kubelet", "operation": "syncPod"}
SECONDS = 15.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock().drive(monkeypatch, search, reader)


class Arrivals:
    """A Jaeger in which spans arrive as the clock goes on; times are in seconds from now."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._begin = clock.now
        self._traces: list[tuple[float, dict[str, Any]]] = []
        self.answered = 0

    def add(self, service: str, operation: str, *, arrives: float, began: float, **of: Any) -> None:
        """``of`` are the span's tags, and ``node`` its process's."""
        node = of.pop("node", "")
        start = int((self._begin + began) * 1_000_000)
        document = trace(span(service, operation, start, **of), trace_id=f"t{len(self._traces)}")
        document["processes"][service]["tags"] = [{"key": "k8s.node.name", "value": node}]
        self._traces.append((self._begin + arrives, document))

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.answered += 1
        query = request.url.params
        if request.url.path.endswith("/operations"):
            return httpx.Response(200, json={"data": ["syncPod", "other"]})
        if request.url.path.endswith("/services"):
            return httpx.Response(200, json={"data": ["kubelet"]})
        return data(
            *(
                document
                for arrives, document in self._traces
                if arrives <= self._clock.now and self._is_found(query, document)
            )
        )

    def _is_found(self, query: httpx.QueryParams, document: dict[str, Any]) -> bool:
        (one,) = document["spans"]
        tags = [*one["tags"], *document["processes"][one["processID"]]["tags"]]
        texts = {tag["key"]: str(tag["value"]) for tag in tags}
        wanted: dict[str, str] = json.loads(query.get("tags", "{}"))
        within = range(int(query["start"]), int(query.get("end", 1 << 60)) + 1)
        return (
            query["service"] == one["processID"]
            and query.get("operation") in (None, one["operationName"])
            and one["startTime"] in within
            and all(texts.get(key) == text for key, text in wanted.items())
        )


@pytest.fixture
def arrivals(clock: Clock) -> Arrivals:
    return Arrivals(clock)


def judged(
    answer: Callable[[httpx.Request], httpx.Response],
    select: dict[str, Any],
    seconds: float = SECONDS,
    **what: Any,
) -> Verdict:
    file = File(expectations=[expect(select, **what)])
    (verdict,) = wait_for_verdicts(client(answer), file, seconds)
    return verdict


# --- what is absent -------------------------------------------------------------------------------

ABSENCES: list[dict[str, Any]] = [
    {"count": 0},
    {"count": {"max": 0}},
    {"count": {"min": 0, "max": 0}},
]


@pytest.mark.parametrize("what", ABSENCES)
def test_a_span_on_its_way_is_not_absent(arrivals: Arrivals, what: dict[str, Any]) -> None:
    arrivals.add("kubelet", "syncPod", arrives=3, began=-2)
    arrivals.add("kubelet", "other", arrives=3, began=0.5)
    verdict = judged(arrivals.answer, SYNC, **what)
    assert (verdict.found, verdict.ok, verdict.judged) == (1, False, True)


@pytest.mark.parametrize("what", ABSENCES)
def test_absence_is_judged_when_newer_spans_of_the_component_are_there(
    arrivals: Arrivals, clock: Clock, what: dict[str, Any]
) -> None:
    begin = clock.now
    arrivals.add("kubelet", "other", arrives=0, began=-1)
    arrivals.add("apiserver", "other", arrives=1, began=0.5)
    arrivals.add("kubelet", "other", arrives=4, began=0.5)
    assert judged(arrivals.answer, SYNC, **what) == Verdict("it")
    assert clock.now - begin == 5, "and twice in a row"


@pytest.mark.parametrize("what", ABSENCES)
def test_absence_is_not_known_without_newer_spans(
    arrivals: Arrivals, clock: Clock, what: dict[str, Any]
) -> None:
    begin = clock.now
    arrivals.add("kubelet", "other", arrives=0, began=-1)
    arrivals.add("apiserver", "other", arrives=0, began=0.5)
    verdict = judged(arrivals.answer, SYNC, **what)
    assert (verdict.ok, verdict.judged) == (False, False)
    (failure,) = verdict.failures
    assert failure.startswith("not known: within 15 s no span of kubelet arrived that began after ")
    assert clock.now - begin == SECONDS


def test_that_no_more_came_than_expected_is_judged_like_absence(arrivals: Arrivals) -> None:
    arrivals.add("kubelet", "syncPod", arrives=0, began=-2)
    assert not judged(arrivals.answer, SYNC, count=1).judged
    assert judged(arrivals.answer, SYNC).ok, "at least one"


def test_the_childs_component_is_awaited_too(arrivals: Arrivals) -> None:
    arrivals.add("kubelet", "other", arrives=0, began=0.5)
    child = {"component": "containerd"}
    (failure,) = judged(arrivals.answer, SYNC, count=0, child=child).failures
    assert "no span of containerd arrived" in failure
    for component in ("kubelet", "containerd"):
        arrivals.add(component, "other", arrives=SECONDS, began=SECONDS + 1)
    assert judged(arrivals.answer, SYNC, count=0, child=child).ok


def test_spans_of_another_node_say_nothing_of_the_selected_one(arrivals: Arrivals) -> None:
    select = SYNC | {"attributes": {"k8s.node.name": "b"}}
    arrivals.add("kubelet", "other", arrives=0, began=0.5, node="a")
    (failure,) = judged(arrivals.answer, select, count=0).failures
    assert "no span of the selected kubelet arrived" in failure
    arrivals.add("kubelet", "other", arrives=SECONDS, began=SECONDS + 1, node="b")
    assert judged(arrivals.answer, select, count=0).ok


def test_every_node_that_sent_spans_just_before_is_awaited(
    arrivals: Arrivals, clock: Clock
) -> None:
    arrivals.add("kubelet", "other", arrives=0, began=-5, node="a")
    arrivals.add("kubelet", "other", arrives=0, began=-5, node="b")
    arrivals.add("kubelet", "other", arrives=0, began=-100, node="removed")
    arrivals.add("kubelet", "other", arrives=1, began=0.5, node="a")
    arrivals.add("kubelet", "syncPod", arrives=8, began=-1, node="b")
    (failure,) = judged(arrivals.answer, SYNC, 6, count=0).failures
    assert failure.startswith("not known: within 6 s no span of kubelet on b arrived")
    clock.now -= 6
    arrivals.add("kubelet", "other", arrives=8, began=0.5, node="b")
    (failure,) = judged(arrivals.answer, SYNC, count=0).failures
    assert "expected 0, found 1" in failure


@pytest.mark.parametrize(
    ("what", "tags"),
    [({"noErrors": True}, {"error": True}), ({"child": {"operation": "x"}}, {})],
)
@pytest.mark.parametrize("least", [0, 1])
def test_what_must_hold_of_every_span_waits_for_those_on_their_way(
    arrivals: Arrivals, what: dict[str, Any], tags: dict[str, Any], least: int
) -> None:
    arrivals.add("kubelet", "syncPod", arrives=3, began=-2, **tags)
    arrivals.add("kubelet", "other", arrives=3, began=0.5)
    verdict = judged(arrivals.answer, SYNC, count={"min": least}, **what)
    assert (verdict.ok, verdict.judged) == (False, True)


def test_spans_that_were_all_good_are_a_verdict_with_a_note_if_no_newer_ones_come(
    arrivals: Arrivals,
) -> None:
    arrivals.add("kubelet", "syncPod", arrives=0, began=-2)
    verdict = judged(arrivals.answer, SYNC, noErrors=True)
    assert verdict.ok
    assert verdict.notes[0].startswith("within 15 s no span of kubelet arrived")
    assert not judged(arrivals.answer, SYNC, count={"min": 0}, durationBelowMs=0.1).notes
    assert not judged(arrivals.answer, {"component": "none"}, count={"min": 0}, noErrors=True).ok


# --- when it ends ---------------------------------------------------------------------------------


def test_a_busy_cluster_settles_while_spans_keep_coming(arrivals: Arrivals, clock: Clock) -> None:
    for second in range(20):
        arrivals.add("kubelet", "syncPod", arrives=second, began=second - 0.5)
    begin = clock.now
    assert judged(arrivals.answer, SYNC, noErrors=True).ok
    assert clock.now - begin == 2, "one for the newer span, one to see it twice"


def test_a_verdict_that_changes_has_not_settled(arrivals: Arrivals, clock: Clock) -> None:
    arrivals.add("kubelet", "other", arrives=0, began=0.5)
    arrivals.add("kubelet", "syncPod", arrives=1, began=0.5)
    begin = clock.now
    assert not judged(arrivals.answer, SYNC, count=0).ok
    assert clock.now - begin == SECONDS


def failing(arrivals: Arrivals, *seconds: int) -> Callable[[httpx.Request], httpx.Response]:
    begin = arrivals._clock.now

    def answer(request: httpx.Request) -> httpx.Response:
        if arrivals._clock.now - begin in seconds:
            raise httpx.ReadTimeout("timed out")
        return arrivals.answer(request)

    return answer


def test_one_answer_that_fails_ends_nothing(arrivals: Arrivals, clock: Clock) -> None:
    arrivals.add("kubelet", "syncPod", arrives=0, began=-1)
    begin = clock.now
    assert judged(failing(arrivals, 1), SYNC).ok
    assert clock.now - begin == 3


@pytest.mark.parametrize("seconds", [[0], range(5, 17)])
def test_a_jaeger_that_never_answered_or_answers_no_more_is_an_error(
    arrivals: Arrivals, clock: Clock, seconds: list[int]
) -> None:
    begin = clock.now
    with pytest.raises(JaegerError, match="timed out"):
        judged(failing(arrivals, *seconds), SYNC)
    assert clock.now - begin == (0 if 0 in seconds else SECONDS)


@pytest.mark.usefixtures("no_waiting")
def test_a_span_older_than_the_newest_thousand_traces_counts() -> None:
    now = int(time.time() * 1_000_000)
    times = [now - 1_000_000 - number * 1000 for number in range(1500)]
    slow = times[-1]

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/api/services/apiserver/operations":
            return httpx.Response(200, json={"data": ["GET x", "LIST"]})
        query = request.url.params
        if "operation" not in query:
            return data()
        within = [at for at in times if int(query["start"]) <= at <= int(query["end"])]
        spans = [span("apiserver", query["operation"], at) for at in within[: int(query["limit"])]]
        for one in spans:
            one |= {"traceID": f"t{one['startTime']}"}
            one |= {"duration": 9_000_000 if one["startTime"] == slow else 10}
        return data(*(trace(one, trace_id=one["traceID"]) for one in spans))

    fast = expect({"component": "apiserver", "operation": "GET *"}, durationBelowMs=1000)
    (verdict,) = wait_for_verdicts(client(answer), File(expectations=[fast]), 0)
    assert verdict.found == 1500
    assert len(verdict.failures) == 1


# --- what is read ---------------------------------------------------------------------------------


def idle_node(clock: Clock, traces: int) -> Store:
    """A node whose spans all ended before the assertion, the last of them 30 s ago."""
    latest = int((clock.now - 30) * 1_000_000)
    return Store(
        trace(span("kubelet", "syncPod", latest - number * 100_000), trace_id=f"t{number}")
        for number in range(traces)
    )


@pytest.mark.parametrize(
    ("what", "ok"), [({"count": {"min": 2000}}, False), ({"noErrors": True}, True)]
)
def test_polls_do_not_read_again_what_they_have(
    clock: Clock, what: dict[str, Any], ok: bool
) -> None:
    """60 polls in a minute: of spans that never come, and of a watermark that never passes."""
    store = idle_node(clock, 1000)
    assert judged(store.answer, SYNC, 0, **what).found == 1000
    once = store.sent
    store.sent = 0
    verdict = judged(store.answer, SYNC, 60, **what)
    assert (verdict.found, verdict.ok) == (1000, ok)
    assert store.sent < 6 * once


def test_a_span_that_comes_very_late_is_judged_in_the_end(clock: Clock) -> None:
    """Its exporter had to try again, or its node's clock is slow."""
    store = idle_node(clock, 10)
    begin = clock.now

    def arrive() -> None:
        if clock.now == begin + 57:
            late = span("kubelet", "syncPod", int((begin - 300) * 1_000_000), error="true")
            store.add(trace(late, trace_id="late"))

    clock.while_sleeping = arrive
    verdict = judged(store.answer, SYNC, 60, noErrors=True)
    assert (verdict.found, verdict.ok) == (11, False)


def test_a_span_that_comes_late_but_before_the_watermark_is_judged(clock: Clock) -> None:
    store = idle_node(clock, 10)
    begin = clock.now

    def arrive() -> None:
        if clock.now == begin + 2:
            late = span("kubelet", "syncPod", int((begin - 300) * 1_000_000), error="true")
            newer = span("kubelet", "other", int((begin + 1) * 1_000_000))
            store.add(trace(late, trace_id="late"))
            store.add(trace(newer, trace_id="newer"))

    clock.while_sleeping = arrive
    assert not judged(store.answer, SYNC, 60, noErrors=True).ok


def test_a_quiet_node_is_awaited_however_busy_the_others_are(clock: Clock) -> None:
    begin = int(clock.now * 1_000_000)
    store = Store()

    def add(name: str, node: str, at: int) -> None:
        document = trace(span("kubelet", "other", at), trace_id=name)
        document["processes"]["kubelet"]["tags"] = [{"key": "k8s.node.name", "value": node}]
        store.add(document)

    add("older than what is judged", "quiet", begin - 700_000_000)
    add("quiet", "quiet", begin - 20_000_000)
    for number in range(1200):
        add(f"busy-{number}", "busy", begin - 600_000 + number * 1000)
    (failure,) = judged(store.answer, SYNC, 5, count=0).failures
    assert "no span of kubelet on quiet arrived" in failure


def test_a_limit_that_was_hit_is_told(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "_MOST_TRACES", 600)
    (failure,) = judged(idle_node(clock, 2000).answer, SYNC, 0).failures
    assert failure.startswith("only the newest ")
    assert failure.endswith(" traces were read: narrow select or sinceSeconds")


# --- requests and webhooks ------------------------------------------------------------------------


def api_request(arrivals: Arrivals, path: str, *, began: float, **of: Any) -> None:
    tags = {"span.kind": "server", "http.method": "PATCH", "http.target": path}
    tags |= {"http.status_code": "409", "http.user_agent": "loop/1 (x)"}
    operation = f"PATCH {path} {began}"
    arrivals.add("apiserver", operation, arrives=of.pop("arrives", 0), began=began, **tags)


@pytest.mark.parametrize(
    ("select", "found"),
    [
        ({"verb": "write"}, 2),
        ({"resource": "configmaps", "name": "a*"}, 1),
        ({"client": "loop/1"}, 2),
        ({"client": "kubectl/*"}, 0),
    ],
)
def test_the_requests_of_all_clients_are_judged(
    arrivals: Arrivals, select: dict[str, str], found: int
) -> None:
    api_request(arrivals, "/api/v1/namespaces/n/configmaps/a", began=-2)
    api_request(arrivals, "/api/v1/namespaces/n/secrets/b", began=-1)
    api_request(arrivals, "/api/v1/namespaces/n/pods/too-old", began=-700)
    arrivals.add("apiserver", "other", arrives=0, began=0.5)
    expectation = Expectation.model_validate(
        {"name": "it", "request": select, "expect": {"count": found, "status": "409"}}
    )
    (verdict,) = wait_for_verdicts(client(arrivals.answer), File(expectations=[expectation]), 5)
    assert verdict == Verdict("it", found=found, noun="request")


@pytest.mark.parametrize("about", [{"request": {}}, {"webhook": "*"}])
def test_that_no_request_was_made_waits_for_newer_spans(
    arrivals: Arrivals, about: dict[str, Any]
) -> None:
    expectation = Expectation.model_validate({"name": "it", **about, "expect": {"count": 0}})
    file = File(expectations=[expectation])
    (verdict,) = wait_for_verdicts(client(arrivals.answer), file, 3)
    assert (verdict.ok, verdict.judged) == (False, False)
    arrivals.add("apiserver", "other", arrives=0, began=5)
    (verdict,) = wait_for_verdicts(client(arrivals.answer), file, 3)
    assert verdict.ok


@pytest.mark.parametrize("about", [{"pod": "*"}, {"quietFor": "1s"}])
def test_what_needs_a_command_is_not_judged_without_one(
    arrivals: Arrivals, about: dict[str, Any]
) -> None:
    """A program may ask for it: a file is refused before."""
    file = File(expectations=[Expectation.model_validate({"name": "it", **about})])
    (verdict,) = wait_for_verdicts(client(arrivals.answer), file, 0)
    assert (verdict.ok, verdict.judged) == (False, False)
    assert "`ktrace run --assert FILE -- COMMAND`" in verdict.failures[0]


def test_too_many_requests_are_told(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "_MOST_TRACES", 600)
    latest = int((clock.now - 30) * 1_000_000)
    tags: dict[str, Any] = {"span.kind": "server", "http.method": "GET", "http.target": "/version"}
    store = Store(
        trace(span("apiserver", "GET", latest - number * 1000, **tags), trace_id=f"t{number}")
        for number in range(2000)
    )
    file = File(expectations=[Expectation.model_validate({"name": "it", "request": {}})])
    (verdict,) = wait_for_verdicts(client(store.answer), file, 0)
    assert verdict.failures[0].startswith("only the newest ")
