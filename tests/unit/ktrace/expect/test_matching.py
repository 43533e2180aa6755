"""What an attribute's value equals, and how patterns are read."""

from __future__ import annotations

import fnmatch
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ktrace.expect.judge import judge, queries
from ktrace.expect.matching import equals, matches
from tests.fakes.jaeger import client, data, span, trace
from tests.unit.ktrace.expect.expectation import expect

_FEW = st.text(alphabet="ab[]!*?\\\n.", max_size=8)


@given(pattern=_FEW, text=_FEW)
def test_a_star_is_any_text_a_question_mark_one_character_and_all_else_itself(
    pattern: str, text: str
) -> None:
    shown = text.replace("\n", " ")
    meant = pattern.replace("\n", " ").replace("[", "[[]")
    assert matches(pattern, shown) == fnmatch.fnmatchcase(shown, meant)


@pytest.mark.parametrize("text", ["[", "a[b]", "[ab]", "[!a]", "[a-", "]", "[]]"])
def test_a_bracket_is_itself(text: str) -> None:
    assert equals(text, text)
    assert matches(f"*{text}*", f"x{text}y")
    assert not matches("[ab]", "a")


def test_a_pattern_with_many_stars_is_quick() -> None:
    begin = time.process_time()
    assert not matches("*a" * 30 + "b", "a" * 5000)
    assert time.process_time() - begin < 5, "else it takes years"


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("404", 404),
        ("404", "404"),
        ("404", 404.0),
        ("404.0", 404),
        ("4e2", 400),
        ("0.50", 0.5),
        ("-1", -1),
        ("9223372036854775807", "9223372036854775807"),
        ("true", True),
        ("True", True),
        ("true", "true"),
        ("true", "True"),
        ("FALSE", False),
        ("", ""),
        ("4*", 404),
        ("t*", True),
        ("two\nlines", "two lines"),
    ],
)
def test_a_value_equals_what_a_person_means_by_it(written: str, value: Any) -> None:
    assert equals(written, value)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("404", 405),
        ("404", "0404"),
        ("007", "7"),
        ("1e10", "10000000000"),
        ("1", True),
        ("0", False),
        ("true", 1),
        ("true", False),
        ("yes", True),
        ("", 0),
        ("", False),
        ("nan", float("nan")),
        ("404", "x404"),
        ("A", "a"),
    ],
)
def test_other_values_differ(written: str, value: Any) -> None:
    assert not equals(written, value)


@pytest.mark.parametrize("given_value", [404, "404"])
@pytest.mark.parametrize("tag", [404, "404"])
def test_a_number_may_be_written_as_one(given_value: Any, tag: Any) -> None:
    tags = {"http.status_code": tag}
    traces = client(lambda _: data(trace(span("apiserver", "GET", **tags)))).find("apiserver")
    select = {"component": "apiserver", "attributes": {"http.status_code": given_value}}
    assert judge(expect(select, count=1), traces).ok


@pytest.mark.parametrize(
    ("key", "value", "found"),
    [
        ("k8s.node.name", "server-0", 1),
        ("k8s.node.name", "server-1", 0),
        ("service.version", "1.*", 1),
        ("service.name", "kubelet", 1),
        ("service.name", "kube", 0),
        ("error", "false", 1),
        ("error", "true", 0),
        ("absent", "*", 0),
    ],
)
def test_attributes_of_the_process_are_selected_too(key: str, value: str, found: int) -> None:
    document = trace(span("kubelet", "syncPod"))
    document["processes"]["kubelet"]["tags"] = [
        {"key": "k8s.node.name", "value": "server-0"},
        {"key": "service.version", "value": "1.2"},
    ]
    traces = client(lambda _: data(document)).find("kubelet")
    select = {"component": "kubelet", "attributes": {key: value}}
    verdict = judge(expect(select, count=found), traces)
    assert (verdict.found, verdict.ok) == (found, True)


def test_the_nearest_tell_the_process_too() -> None:
    document = trace(span("kubelet", "syncPod"))
    document["processes"]["kubelet"]["tags"] = [{"key": "k8s.node.name", "value": "server-0"}]
    traces = client(lambda _: data(document)).find("kubelet")
    select = {"component": "kubelet", "attributes": {"k8s.node.name": "b", "other": "c"}}
    (nearest,) = judge(expect(select), traces).nearest
    assert nearest.endswith(": k8s.node.name is server-0, other is absent")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("error", "true"),
        ("span.kind", "server"),
        ("otel.status_code", "ERROR"),
        ("otel.scope.name", "kubelet"),
        ("service.name", "kubelet"),
        ("any", "a*"),
        ("any", "true"),
        ("any", "404.0"),
        ("any", "two\nlines"),
    ],
)
def test_jaeger_is_not_searched_for_what_it_would_miss(key: str, value: str) -> None:
    select = expect({"component": "kubelet", "attributes": {key: value, "k": "v"}}).spans
    assert [query["tags"] for query in queries(select, [])] == [{"k": "v"}]


@pytest.mark.parametrize("value", ["404", "text", "", "a[b]", "1.34.4"])
def test_jaeger_is_searched_for_what_it_finds(value: str) -> None:
    select = expect({"component": "kubelet", "attributes": {"any": value}}).spans
    assert [query["tags"] for query in queries(select, [])] == [{"any": value}]
