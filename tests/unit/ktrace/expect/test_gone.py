"""What Jaeger no longer has is neither called absent nor called missing."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ktrace.expect import search
from ktrace.expect.schema import File
from ktrace.expect.search import wait_for_verdicts
from ktrace.expect.verdict import Verdict
from ktrace.jaeger import reader
from ktrace.jaeger import store as stores
from ktrace.jaeger.store import BADGER, MEMORY
from runtime_observability.core.crashes import Crashes
from runtime_observability.host.memory_loss import Memory, MemoryLoss
from tests.fakes.clock import Clock
from tests.fakes.jaeger import client, span, trace
from tests.fakes.store import Store
from tests.unit.ktrace.expect.expectation import expect

SYNC = {"component": "kubelet", "operation": "syncPod"}
LOST = "not known: spans of the 600 s that are judged are lost: Jaeger restarted at "
MAY_BE_GONE = "spans of the 600 s that are judged may be gone: Jaeger keeps the newest jaegerMax"
NEAR = 100.0
"""Seconds before the assertion, and so within what is judged."""


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock().drive(monkeypatch, search, reader)


class Jaeger:
    """One with a memory; times are in seconds before the assertion."""

    def __init__(self, clock: Clock) -> None:
        self._now = clock.now
        self.store = Store()
        self.add("newer", -1)
        self.memory: Memory | None = self.since(7200)

    def since(self, began: float, *, lost: bool = False) -> Memory:
        at = datetime.fromtimestamp(self._now - began, UTC)
        return Memory(at, MemoryLoss(at) if lost else None)

    def add(
        self, name: str, began: float, operation: str = "other", child: str = "", **tags: Any
    ) -> None:
        at = int((self._now - began) * 1_000_000)
        spans = [span("kubelet", operation, at, **tags)]
        if child:
            spans.append(span("containerd", child, at, operation))
        self.store.add(trace(*spans, trace_id=name))

    def judged(self, select: dict[str, Any] = SYNC, **what: Any) -> Verdict:
        file = File(expectations=[expect(select, **what)])
        (verdict,) = wait_for_verdicts(client(self.store.answer), file, 1, lambda: self.memory)
        return verdict


@pytest.fixture
def jaeger(clock: Clock) -> Jaeger:
    return Jaeger(clock)


@pytest.fixture
def restarted(jaeger: Jaeger) -> Jaeger:
    jaeger.memory = jaeger.since(NEAR, lost=True)
    return jaeger


@pytest.fixture
def overflowed(jaeger: Jaeger) -> Jaeger:
    for number in range(1000):
        jaeger.add(f"newest-{number}", NEAR - number / 20)
    return jaeger


@pytest.mark.parametrize("what", [{"count": 0}, {"count": {"max": 3}}, {"count": {"min": 0}}])
def test_absence_is_not_known_when_jaeger_restarted(restarted: Jaeger, what: Any) -> None:
    verdict = restarted.judged(**what)
    assert (verdict.ok, verdict.judged) == (False, False)
    (failure,) = verdict.failures
    assert failure.startswith(LOST)
    assert failure.endswith("Repeat what is expected, or lower sinceSeconds")


def test_absence_is_not_known_where_a_container_ended(jaeger: Jaeger) -> None:
    at = jaeger.since(NEAR).since
    assert at
    crashes = Crashes("the collector", "it", 1, at, at, at)
    jaeger.memory = Memory(crashes=(crashes,))
    verdict = jaeger.judged(count=0)
    assert (verdict.ok, verdict.judged) == (False, False)
    told = "not known: spans of the 600 s that are judged may be gone: Docker restarted the coll"
    assert verdict.failures[0].startswith(told)
    jaeger.memory = Memory(crashes=(replace(crashes, serves=at - timedelta(hours=1)),))
    assert jaeger.judged(count=0) == Verdict("it")


def test_absence_is_not_known_where_the_cluster_is_older_than_jaeger(jaeger: Jaeger) -> None:
    """One that was made again soon after the first is not known to be another."""
    made = jaeger.since(NEAR)
    assert made.since
    jaeger.memory = replace(made, cluster=made.since - timedelta(seconds=90))
    verdict = jaeger.judged(count=0)
    assert (verdict.ok, verdict.judged) == (False, False)
    told = "not known: spans of the 600 s that are judged may be gone: Jaeger was made at "
    assert verdict.failures[0].startswith(told)
    jaeger.memory = replace(made, cluster=made.since - timedelta(seconds=5))
    assert jaeger.judged(count=0) == Verdict("it")


def test_a_restart_before_what_is_judged_is_of_no_account(jaeger: Jaeger) -> None:
    jaeger.memory = jaeger.since(601, lost=True)
    assert jaeger.judged(count=0) == Verdict("it")


def test_a_restart_during_the_assertion_counts(jaeger: Jaeger, clock: Clock) -> None:
    def restart() -> None:
        jaeger.memory = jaeger.since(-0.5, lost=True)

    clock.while_sleeping = restart
    assert not jaeger.judged(count=0).judged


def test_what_was_found_too_often_is_sure(restarted: Jaeger) -> None:
    restarted.add("one", 5, "syncPod")
    verdict = restarted.judged(count=0)
    assert (verdict.ok, verdict.judged) == (False, True)


def test_what_is_found_often_enough_is_met(restarted: Jaeger) -> None:
    restarted.add("one", 5, "syncPod")
    assert restarted.judged() == Verdict("it", found=1)


def test_what_is_not_found_may_have_been_lost(restarted: Jaeger) -> None:
    verdict = restarted.judged(count=2)
    assert not verdict.judged
    assert verdict.failures[0].startswith(LOST)
    assert verdict.failures[1] == "number of spans: expected 2, found 0"


def test_what_holds_of_every_span_that_is_left_has_a_note(restarted: Jaeger) -> None:
    restarted.add("one", 5, "syncPod")
    verdict = restarted.judged(noErrors=True)
    assert verdict.ok
    (note,) = verdict.notes
    assert note.startswith(LOST.removeprefix("not known: "))


def test_an_error_that_was_seen_is_sure(restarted: Jaeger) -> None:
    restarted.add("one", 5, "syncPod", error="true")
    verdict = restarted.judged(count={"min": 2}, noErrors=True)
    assert verdict.judged
    assert len(verdict.failures) == 2


@pytest.mark.parametrize(("began", "judged"), [(NEAR + 1, False), (NEAR - 1, True)])
def test_a_child_may_have_been_lost_if_its_parent_began_before(
    restarted: Jaeger, began: float, *, judged: bool
) -> None:
    """A parent arrives after its children: only these may have been lost."""
    restarted.add("t1", 5, "syncPod", "container.NewTask")
    restarted.add("one", began, "syncPod")
    verdict = restarted.judged(child={"operation": "container.NewTask"})
    assert (verdict.ok, verdict.judged) == (False, judged)
    assert "has no child any component container.NewTask" in verdict.failures[-1]


def test_an_absence_without_newer_spans_has_both_reasons(clock: Clock) -> None:
    jaeger = Jaeger(clock)
    jaeger.memory = jaeger.since(NEAR, lost=True)
    unseen = {"component": "unseen", "operation": "work"}
    reasons = jaeger.judged(unseen, count=0).failures
    assert [reason.startswith("not known: ") for reason in reasons] == [True, True]


def test_absence_is_not_known_when_the_oldest_traces_were_dropped(overflowed: Jaeger) -> None:
    verdict = overflowed.judged(count=0)
    assert not verdict.judged
    assert verdict.failures[0].startswith(f"not known: {MAY_BE_GONE}")
    (note,) = overflowed.judged(SYNC | {"operation": "other"}, noErrors=True).notes
    assert note.startswith(MAY_BE_GONE)


def test_a_trace_from_before_shows_that_none_was_dropped(overflowed: Jaeger) -> None:
    overflowed.add("older", 700)
    assert overflowed.judged(count=0).ok


def test_a_trace_that_began_before_and_arrived_after_shows_nothing(overflowed: Jaeger) -> None:
    at = int((Clock().now - 700) * 1_000_000)
    watch = span("apiserver", "WATCH", at) | {"duration": 695_000_000}
    overflowed.store.add(trace(watch, trace_id="watch"))
    assert not overflowed.judged(count=0).judged


def test_a_young_jaeger_has_nothing_from_before(overflowed: Jaeger) -> None:
    overflowed.memory = overflowed.since(NEAR + 60)
    assert not overflowed.judged(count=0).ok, "nothing of its first minute is left"
    overflowed.add("of its first seconds", NEAR + 50)
    assert overflowed.judged(count=0).ok


@pytest.mark.parametrize(
    ("hours", "age", "judged"), [(1, 7200, False), (3, 7200, True), (1, 1800, True)]
)
def test_absence_is_not_known_of_what_the_store_deletes(
    jaeger: Jaeger, clock: Clock, hours: int, age: float, *, judged: bool
) -> None:
    """A cluster that is younger than the retention has nothing that is old enough."""
    jaeger.memory = Memory(cluster=datetime.fromtimestamp(clock.now - age, UTC))
    file = File(expectations=[expect(SYNC, count=0)], sinceSeconds=5400)
    kept = stores.of("badger", f"{hours}h")
    (verdict,) = wait_for_verdicts(
        client(jaeger.store.answer, kept), file, 1, lambda: jaeger.memory
    )
    assert (verdict.ok, verdict.judged) == (judged, judged)
    if not judged:
        assert verdict.failures == (
            "not known: spans of the 5400 s that are judged may be gone: Jaeger keeps traces for "
            "1 h. Raise traceRetention. Repeat what is expected, or lower sinceSeconds",
        )


def test_what_is_newer_than_the_retention_is_judged(jaeger: Jaeger) -> None:
    """The cluster's age is not known without Docker."""
    jaeger.add("parent", 1800, "syncPod")
    jaeger.memory = None
    child = {"operation": "container.NewTask"}
    file = File(expectations=[expect(SYNC, child=child)], sinceSeconds=5400)
    kept = stores.of("badger", "1h")
    (verdict,) = wait_for_verdicts(
        client(jaeger.store.answer, kept), file, 1, lambda: jaeger.memory
    )
    assert (verdict.ok, verdict.judged) == (False, True)


def test_a_memory_with_few_traces_has_dropped_none(jaeger: Jaeger) -> None:
    assert jaeger.judged(count=0) == Verdict("it")


@pytest.mark.parametrize(("store", "judged"), [(MEMORY, False), (BADGER, True)])
def test_only_a_memory_drops_what_is_oldest(
    overflowed: Jaeger, store: Any, *, judged: bool
) -> None:
    file = File(expectations=[expect(SYNC, count=0)])
    (verdict,) = wait_for_verdicts(client(overflowed.store.answer, store), file, 1)
    assert verdict.judged is judged
