"""Many pods are read with few searches, and what is told of each is what it is told alone."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

import pytest

from ktrace.jaeger import Reader, reader
from ktrace.podend.search import look_for_ending
from ktrace.podstart import search
from ktrace.podstart.cluster import FromCluster
from ktrace.podstart.model import PodStart
from ktrace.podstart.pod import pod_of
from ktrace.podstart.search import look_for_start
from ktrace.rollout import look as rollout_look
from ktrace.rollout import pool
from ktrace.rollout.cluster import Selection
from ktrace.rollout.kinds import DEPLOYMENT
from ktrace.rollout.look import Look
from ktrace.rollout.model import Rollout
from ktrace.rollout.pool import merged
from tests.fakes import jaeger as fake
from tests.fakes import rollouts, starts
from tests.fakes.clock import Clock
from tests.fakes.rollouts import NAMESPACE, OLD_HASH, Cluster, web_pod
from tests.fakes.store import Store

PODS = 40


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """No test waits for spans."""
    return Clock(1_700_000_100.0).drive(monkeypatch, search, rollout_look, reader)


def cluster(pods: int) -> Cluster:
    new = [
        web_pod(at, created=100 + at * 3, pull=100 + at * 17 % 700, ready=1_500 + at * 31 % 4_000)
        for at in range(pods)
    ]
    old = [
        web_pod(
            500 + at, OLD_HASH, created=-70_000, ready=-60_000, deleted=1_600 + at, gone=2_600 + at
        )
        for at in range(pods)
    ]
    return rollouts.deployment([*new, *old], replicas=pods)


def others() -> list[dict[str, Any]]:
    """Pods of another Deployment at the same time."""
    return [trace for at in range(900, 905) for trace in web_pod(at, "zzzzzzzzz").traces]


def shown(made: Cluster, store: Store, seconds: float = 0) -> Rollout:
    wanted = Selection(DEPLOYMENT, NAMESPACE, "web")
    (rollout,) = Look(fake.client(store.answer), made, wanted).wait(seconds)
    return rollout


def test_a_hundred_pods_do_not_cost_a_hundred_times_the_searches() -> None:
    few, many = cluster(10), cluster(PODS)
    stores = [Store([*made.traces(), *others(), rollouts.written()]) for made in (few, many)]
    for made, store in zip((few, many), stores, strict=True):
        rollout = shown(made, store)
        assert len(rollout.pods) == len(rollout.others) == len(made.pods) / 2
    assert stores[1].searches < 1.5 * stores[0].searches
    assert len(many.requests) == 4, "the object, its ReplicaSets, its pods and the Events"


@pytest.mark.parametrize("others", [0, PODS // 2, 2 * PODS, 10 * PODS])
def test_many_at_once_never_cost_more_than_one_by_one(
    others: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A search costs as much as reading four traces, measured with Jaeger's memory store."""
    made = cluster(PODS)
    made.pods = made.pods[:PODS]
    traces = [*made.traces(), rollouts.written()]
    for at in range(others):
        other = web_pod(1000 + at, "zzzzzzzzz", created=100 + at % PODS * 3)
        key, uid = f"{NAMESPACE}/{other.name}", rollouts.uid(other.name)
        later = [starts.sync(1_500 + at + more, pod=key, uid=uid) for more in range(4)]
        traces += [*other.traces, *later]
    at_once, alone = Store(traces), Store(traces)
    answer = shown(made, at_once)
    monkeypatch.setattr(pool, "FEW", PODS)
    assert shown(made, alone) == answer
    assert at_once.found + 4 * at_once.searches <= 1.1 * (alone.found + 4 * alone.searches)
    if not others:
        assert at_once.searches < 10


def test_what_is_waited_for_is_not_read_again() -> None:
    made = cluster(PODS)
    store = Store([*made.traces(), rollouts.written()])
    once = Store([*made.traces(), rollouts.written()])
    shown(made, once)
    shown(made, store, seconds=10)
    assert store.sent < 2 * once.sent


def test_each_start_and_each_ending_is_the_same_as_alone() -> None:
    made = cluster(PODS)
    store = Store([*made.traces(), *others(), rollouts.written()])
    rollout = shown(made, store)
    alone_reader = Reader(fake.client(store.answer))
    by_name = {pod.name: pod for pod in made.pods}
    for pod in rollout.pods:
        known = FromCluster(pod_of(by_name[pod.name].document), missing=())
        alone = look_for_start(alone_reader, NAMESPACE, pod.name, pod.uid, known=known)
        assert pod.start == alone
    for other in rollout.others:
        gone = FromCluster(gone=True)
        assert other.ending.detail == look_for_ending(
            alone_reader, NAMESPACE, other.name, other.uid, known=gone
        )


def named(traces: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """``traces``, with requests that are called what they are since Kubernetes 1.31."""
    path = "/api/v1/namespaces/{:namespace}/pods/{:name}"
    names = {"/binding": f"POST {path}/binding", "/status": f"PATCH {path}/status"}
    found = copy.deepcopy(list(traces))
    for trace in found:
        told = {str(tag["value"]) for span in trace["spans"] for tag in span["tags"]}
        for ending, name in names.items():
            if any(value.endswith(ending) for value in told):
                trace["spans"][0]["operationName"] = name
    return found


def without(tag: str, traces: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    found = copy.deepcopy(list(traces))
    for span in (span for trace in found for span in trace["spans"]):
        span["tags"] = [one for one in span["tags"] if one["key"] != tag]
    return found


def both_ways(
    made: Cluster, traces: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> tuple[Rollout, int]:
    """What is told of ``made``, the same as of each pod alone, and with how many searches."""
    store = Store(traces)
    rollout = shown(made, store)
    with monkeypatch.context() as patch:
        patch.setattr(pool, "FEW", PODS)
        assert shown(made, Store(traces)) == rollout
    return rollout, store.searches


def test_requests_that_have_names_are_read_by_these(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also that a pod has none: half of them have been bound before Jaeger kept what it has."""
    made = cluster(PODS)
    made.pods = made.pods[:PODS]
    every = named([*made.traces(), rollouts.written()])
    bindings = [trace for trace in every if is_binding(trace)]
    assert len(bindings) == PODS
    traces = [trace for trace in every if trace not in bindings[::2]]
    rollout, searches = both_ways(made, traces, monkeypatch)
    assert sum("bind to a node" in names(pod.start) for pod in rollout.pods) == PODS / 2
    assert searches < 15


def is_binding(trace: dict[str, Any]) -> bool:
    return bool(trace["spans"][0]["operationName"].endswith("/binding"))


def test_what_jaeger_has_dropped_is_not_searched_for_pod_by_pod(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = cluster(PODS)
    made.pods = made.pods[:PODS]
    clock.now += 3600
    kept = [
        starts.sync(3_000_000 + at, pod=f"{NAMESPACE}/{pod.name}", uid=rollouts.uid(pod.name))
        for at, pod in enumerate(made.pods)
    ]
    later = web_pod(900, "zzzzzzzzz", created=3_000_000, ready=3_001_000)
    rollout, searches = both_ways(made, [*kept, *named(later.traces)], monkeypatch)
    assert len(rollout.pods) == PODS
    assert searches < PODS + 15, "one for the syncs that are left of each"


@pytest.mark.parametrize("tag", ["resource", "k8s.pod.update_type"])
def test_a_tag_that_spans_of_old_have_not_is_no_absence(
    tag: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = cluster(PODS)
    made.pods = made.pods[:PODS]
    traces = without(tag, [*made.traces(), rollouts.written()])
    rollout, _ = both_ways(made, traces, monkeypatch)
    assert all({"create request", "bind to a node"} <= names(pod.start) for pod in rollout.pods)


def names(start: PodStart | None) -> set[str]:
    return {step.name for step in start.steps} if start else set()


def test_an_old_rollout_is_looked_at_once(clock: Clock) -> None:
    made = cluster(PODS)
    traces = [*made.traces(), rollouts.written()]
    clock.now += 3600
    once, waiting = Store(traces), Store(traces)
    assert shown(made, once) == shown(made, waiting, seconds=10)
    assert waiting.searches == once.searches


def test_spans_that_arrive_later_are_seen(clock: Clock) -> None:
    clock.now = 1_700_000_008.0
    made = cluster(3)
    late, *there = made.traces()[1:]
    store = Store([*there, rollouts.written()])
    look = Look(fake.client(store.answer), made, Selection(DEPLOYMENT, NAMESPACE, "web"))
    (before,) = look.wait(0)
    store.add(late)
    (after,) = look.wait(0)
    names = {step.name for pod in after.pods if pod.start for step in pod.start.steps}
    assert "bind to a node" in names
    assert before.pods != after.pods


def test_periods_that_touch_are_one() -> None:
    assert merged([(5, 9), (1, 3), (4, 5), (20, 30), (22, 23)]) == [(1, 9), (20, 30)]
