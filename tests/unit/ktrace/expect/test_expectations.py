"""Expectations: what a file may say, and what is judged of spans."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import httpx
import pytest

from ktrace.commands.assert_ import judged
from ktrace.errors import UsageError
from ktrace.expect import expectations
from ktrace.expect.expectations import Expectation, File, judge, load
from ktrace.jaeger import Trace
from ktrace.podstart.calls import has_calls
from ktrace.view import junit
from tests.fakes import recorded
from tests.fakes.jaeger import client, data, span, trace

SHIPPED = Path(__file__).resolve().parents[3] / "traces"


def expect(select: dict[str, Any], **what: Any) -> Expectation:
    return Expectation.model_validate({"name": "it", "select": select, "expect": what})


def start_of(pod: str) -> list[Trace]:
    found = recorded.replay(pod).find("kubelet", "syncPod", tags={"k8s.pod": f"default/{pod}"})
    assert any(map(has_calls, found))
    return found


def test_the_shipped_expectations_hold_for_a_recorded_start() -> None:
    file = load(SHIPPED / "pod-start.yaml", {"POD": "default/echo-one"})
    traces = start_of("echo-one")
    assert [judge(each, traces).failures for each in file.expectations] == [(), (), ()]


@pytest.mark.parametrize(
    ("agent", "found"),
    [
        ("kube-scheduler/v1.34.4 (linux/amd64) kubernetes/4cb5f07/scheduler", 1),
        ("k3s/v1.34.4+k3s1 (linux/amd64) kubernetes/4cb5f07/scheduler", 1),
        ("k3s/v1.34.4+k3s1 (linux/amd64) kubernetes/4cb5f07", 0),
    ],
)
def test_a_binding_is_the_schedulers_whichever_program_it_runs_in(agent: str, found: int) -> None:
    file = load(SHIPPED / "control-plane.yaml", {})
    tags: dict[str, Any] = {"subresource": "binding", "user-agent": agent}
    traces = client(lambda _: data(trace(span("apiserver", "Create", **tags)))).find("apiserver")
    assert judge(file.expectations[0], traces).found == found


@pytest.mark.parametrize(
    ("what", "told"),
    [
        ({"count": 2}, "expected 2 spans, found 1"),
        ({"count": {"max": 0}}, "expected at most 0 spans, found 1"),
        ({"child": {"component": "kubelet", "operation": "nosuch*"}}, "has no child kubelet"),
        ({"durationBelowMs": 1}, "is not below 1 ms"),
    ],
)
def test_what_does_not_hold_is_told(what: dict[str, Any], told: str) -> None:
    select = {
        "component": "kubelet",
        "operation": "syncPod",
        "pod": "default/echo-one",
        "attributes": {"k8s.pod.update_type": "create"},
    }
    (failure,) = judge(expect(select, **what), start_of("echo-one")).failures
    assert told in failure


def test_an_error_below_a_span_is_found() -> None:
    select = {"component": "kubelet", "operation": "syncPod", "pod": "default/no-image"}
    verdict = judge(expect(select, noErrors=True), start_of("no-image"))
    assert any("PullImage" in failure for failure in verdict.failures)


def test_an_attribute_is_found_under_its_older_and_its_newer_name() -> None:
    tags: dict[str, Any] = {"http.response.status_code": 404}
    traces = client(lambda _: data(trace(span("apiserver", "GET", **tags)))).find("apiserver")
    select = {"component": "apiserver", "attributes": {"http.status_code": "404"}}
    assert judge(expect(select, count=1), traces).ok
    asked = expectations.questions(expect(select).select, [])
    assert [each["tags"] for each in asked] == [
        {"http.status_code": "404"},
        {"http.response.status_code": "404"},
    ]


def test_a_pattern_is_asked_for_by_every_operation_that_it_means() -> None:
    select = {"component": "apiserver", "operation": "Call *", "attributes": {"url": "/api/*"}}
    asked = expectations.questions(
        expect(select).select, ["Call mutating webhook", "GET", "Call validating webhook"]
    )
    assert asked == [
        {"service": "apiserver", "operation": "Call mutating webhook", "tags": {}},
        {"service": "apiserver", "operation": "Call validating webhook", "tags": {}},
    ]
    assert expectations.questions(expect({"component": "etcd"}).select, []) == [
        {"service": "etcd", "operation": "", "tags": {}}
    ]


def test_what_was_looked_at_in_part_is_not_judged_as_a_whole() -> None:
    (failure,) = judge(expect({"component": "kubelet"}), start_of("echo-one"), whole=False).failures
    assert failure.startswith("only the newest ")
    assert "sinceSeconds" in failure


@pytest.mark.usefixtures("no_waiting")
def test_a_span_older_than_the_newest_thousand_traces_counts() -> None:
    now = int(time.time() * 1_000_000)
    times = [now - 1_000_000 - each * 1000 for each in range(1500)]
    slow = times[-1]

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/api/services/apiserver/operations":
            return httpx.Response(200, json={"data": ["GET x", "LIST"]})
        query = request.url.params
        within = [at for at in times if int(query["start"]) <= at <= int(query["end"])]
        spans = [span("apiserver", query["operation"], at) for at in within[: int(query["limit"])]]
        for each in spans:
            each |= {"traceID": f"t{each['startTime']}"}
            each |= {"duration": 9_000_000 if each["startTime"] == slow else 10}
        return data(*(trace(each, trace_id=each["traceID"]) for each in spans))

    one = expect({"component": "apiserver", "operation": "GET *"}, durationBelowMs=1000)
    (verdict,) = judged(client(answer), File(expectations=[one]), 0)
    assert verdict.found == 1500
    assert len(verdict.failures) == 1


def test_a_pod_is_refused_where_no_span_says_of_which_pod_it_is(tmp_path: Path) -> None:
    file = tmp_path / "pod.yaml"
    file.write_text("expectations: [{name: a, select: {component: apiserver, pod: default/a}}]")
    with pytest.raises(UsageError, match="apiserver: only kubelet and containerd"):
        load(file, {})


def test_nothing_found_names_the_nearest() -> None:
    select = {"component": "kubelet", "operation": "syncPodd"}
    verdict = judge(expect(select), start_of("echo-one"))
    assert verdict.failures == ("expected at least 1 spans, found 0",)
    assert "operation is " in verdict.nearest[0]


def test_a_pod_without_a_trace_is_named() -> None:
    select = {"component": "kubelet", "operation": "syncPod", "pod": "default/echo-two"}
    verdict = judge(expect(select), start_of("echo-one"))
    assert verdict.failures[1] == "there is no trace of pod default/echo-two: is its name right?"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("expectations: []", "at least 1 item"),
        ("expectations: [{name: a}]", "expectations.0.select: Field required"),
        ("expectations: [{name: a, select: {component: k, oops: 1}}]", "oops: Extra inputs"),
        ("{", "is no YAML"),
        ("expectations: ${WHICH}", "needs a value: --set WHICH=VALUE"),
        ("just text", "valid dictionary"),
    ],
)
def test_a_broken_file_is_told(tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "broken.yaml"
    file.write_text(text)
    with pytest.raises(UsageError, match=told) as error:
        load(file, {})
    assert error.value.code == 2
    assert "\n" not in str(error.value)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        load(tmp_path / "absent.yaml", {})


def test_junit_has_a_case_for_each_and_its_failure() -> None:
    verdicts = [
        expectations.Verdict(name="good"),
        expectations.Verdict(name="<bad>", failures=("too & slow",), nearest=("that",)),
    ]
    root = ET.fromstring(junit.render("suite", verdicts, 1.5))  # noqa: S314  our own
    assert (root.get("tests"), root.get("failures")) == ("2", "1")
    failure = root.find("testcase[@name='<bad>']/failure")
    assert failure is not None
    assert failure.get("message") == "too & slow"
    assert "nearest: that" in str(failure.text)
