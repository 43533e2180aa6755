"""What Jaeger is queried for, and the verdict on the traces that it has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import ktrace.expect
from ktrace.expect.judge import judge, queries
from ktrace.expect.schema import load
from ktrace.jaeger import Trace
from ktrace.podstart.calls import has_calls
from tests.fakes import recorded
from tests.fakes.jaeger import client, data, span, trace
from tests.unit.ktrace.expect.expectation import expect

BUILTIN = Path(ktrace.expect.__path__[0]) / "builtin"


def start_of(pod: str) -> list[Trace]:
    found = recorded.replay(pod).find("kubelet", "syncPod", tags={"k8s.pod": f"default/{pod}"})
    assert any(map(has_calls, found))
    return found


def test_the_shipped_expectations_hold_for_a_recorded_start() -> None:
    file = load(BUILTIN / "pod-start.yaml", {"POD": "default/echo-one"})
    traces = start_of("echo-one")
    assert [judge(wanted, traces).failures for wanted in file.expectations] == [(), (), ()]


@pytest.mark.parametrize(
    ("agent", "found"),
    [
        ("kube-scheduler/v1.34.4 (linux/amd64) kubernetes/4cb5f07/scheduler", 1),
        ("k3s/v1.34.4+k3s1 (linux/amd64) kubernetes/4cb5f07/scheduler", 1),
        ("k3s/v1.34.4+k3s1 (linux/amd64) kubernetes/4cb5f07", 0),
    ],
)
def test_a_binding_is_the_schedulers_whichever_program_it_runs_in(agent: str, found: int) -> None:
    file = load(BUILTIN / "control-plane.yaml", {})
    tags: dict[str, Any] = {"subresource": "binding", "user-agent": agent}
    traces = client(lambda _: data(trace(span("apiserver", "Create", **tags)))).find("apiserver")
    assert judge(file.expectations[0], traces).found == found


@pytest.mark.parametrize(
    ("what", "failure"),
    [
        ({"count": 2}, "number of spans: expected 2, found 1"),
        ({"count": {"max": 0}}, "number of spans: expected at most 0, found 1"),
        ({"child": {"component": "kubelet", "operation": "nosuch*"}}, "has no child kubelet"),
        ({"durationBelowMs": 1}, "is not below 1 ms"),
    ],
)
def test_what_does_not_hold_is_told(what: dict[str, Any], failure: str) -> None:
    select = {
        "component": "kubelet",
        "operation": "syncPod",
        "pod": "default/echo-one",
        "attributes": {"k8s.pod.update_type": "create"},
    }
    (found,) = judge(expect(select, **what), start_of("echo-one")).failures
    assert failure in found


@pytest.mark.parametrize(("bound", "met"), [(10, False), (10.001, True), (9.999, False)])
def test_a_duration_is_below_its_bound_and_not_at_it(bound: float, met: bool) -> None:
    lasting = span("kubelet", "syncPod") | {"duration": 10_000}
    traces = client(lambda _: data(trace(lasting))).find("kubelet")
    assert judge(expect({"component": "kubelet"}, durationBelowMs=bound), traces).ok is met


def test_the_three_nearest_are_named_the_least_different_and_newest_first() -> None:
    spans = [span("kubelet", f"sync{start}", start) for start in (1, 2, 3)]
    spans.append(span("kubelet", "syncPod", 0, node="b"))
    traces = client(lambda _: data(trace(*spans, span("apiserver", "GET", 9)))).find("kubelet")
    select = {"component": "kubelet", "operation": "syncPod", "attributes": {"node": "a"}}
    nearest = [line.partition(" (")[0] for line in judge(expect(select), traces).nearest]
    assert nearest == ["kubelet syncPod", "kubelet sync3", "kubelet sync2"]


def test_a_selected_span_is_not_among_the_nearest() -> None:
    spans = [span("kubelet", "syncPod"), span("kubelet", "other")]
    traces = client(lambda _: data(trace(*spans))).find("kubelet")
    (nearest,) = judge(
        expect({"component": "kubelet", "operation": "syncPod"}, count=2), traces
    ).nearest
    assert nearest.startswith("kubelet other ")


def test_a_surplus_names_the_newest_spans() -> None:
    spans = [span("kubelet", f"sync{start}", start) for start in range(4)]
    traces = client(lambda _: data(trace(*spans))).find("kubelet")
    (failure,) = judge(expect({"component": "kubelet"}, count={"max": 1}), traces).failures
    assert failure == (
        "number of spans: expected at most 1, found 4: kubelet sync3 (0.0 ms, trace t1), "
        "kubelet sync2 (0.0 ms, trace t1), kubelet sync1 (0.0 ms, trace t1), …"
    )


def test_an_error_below_several_selected_spans_is_told_once_with_its_reason() -> None:
    spans = [
        span("kubelet", "outer"),
        span("kubelet", "inner", parent="outer"),
        span("kubelet", "call", parent="inner", error=True),
    ]
    spans[2]["tags"].append({"key": "otel.status_description", "value": "no space"})
    traces = client(lambda _: data(trace(*spans))).find("kubelet")
    verdict = judge(expect({"component": "kubelet"}, noErrors=True), traces)
    assert verdict.failures == ("kubelet call (0.0 ms, trace t1) failed: no space",)


def test_an_error_below_a_span_is_found() -> None:
    select = {"component": "kubelet", "operation": "syncPod", "pod": "default/no-image"}
    verdict = judge(expect(select, noErrors=True), start_of("no-image"))
    assert any("PullImage" in failure for failure in verdict.failures)


def test_an_attribute_is_found_under_its_older_and_its_newer_name() -> None:
    tags: dict[str, Any] = {"http.response.status_code": 404}
    traces = client(lambda _: data(trace(span("apiserver", "GET", **tags)))).find("apiserver")
    select = {"component": "apiserver", "attributes": {"http.status_code": "404"}}
    assert judge(expect(select, count=1), traces).ok
    assert [query["tags"] for query in queries(expect(select).spans, [])] == [
        {"http.status_code": "404"},
        {"http.response.status_code": "404"},
    ]


def test_a_pattern_is_asked_for_by_every_operation_that_it_means() -> None:
    select = {"component": "apiserver", "operation": "Call *", "attributes": {"url": "/api/*"}}
    operations = ["Call mutating webhook", "GET", "Call validating webhook"]
    assert queries(expect(select).spans, operations) == [
        {"service": "apiserver", "operation": "Call mutating webhook", "tags": {}},
        {"service": "apiserver", "operation": "Call validating webhook", "tags": {}},
    ]
    assert queries(expect(select).spans, None) == [
        {"service": "apiserver", "operation": "", "tags": {}}
    ]
    assert queries(expect({"component": "etcd"}).spans, []) == [
        {"service": "etcd", "operation": "", "tags": {}}
    ]


def test_what_was_looked_at_in_part_is_not_judged_as_a_whole() -> None:
    verdict = judge(expect({"component": "kubelet"}), start_of("echo-one"), complete=False)
    (failure,) = verdict.failures
    assert failure.startswith("only the newest ")
    assert "sinceSeconds" in failure


def test_nothing_found_names_the_nearest() -> None:
    select = {"component": "kubelet", "operation": "syncPodd"}
    verdict = judge(expect(select), start_of("echo-one"))
    assert verdict.failures == ("number of spans: expected at least 1, found 0",)
    assert "operation is " in verdict.nearest[0]


def test_a_pod_without_a_trace_is_named() -> None:
    select = {"component": "kubelet", "operation": "syncPod", "pod": "default/echo-two"}
    verdict = judge(expect(select), start_of("echo-one"))
    no_trace = "there is no trace of pod default/echo-two, if that is its namespace and name"
    assert verdict.failures[1] == no_trace
