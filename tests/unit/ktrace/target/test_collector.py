"""Where a command's spans go: to --otlp, the stack's collector, or what OpenTelemetry names."""

from __future__ import annotations

from typing import Any

import pytest

from ktrace.errors import UsageError
from ktrace.otlp import Collector
from ktrace.target import collector
from ktrace.target.target import Target

ALONE = Target("http://jaeger:16686", None)
STACK = Target("http://jaeger:16686", None, {"otlpHttpEndpoint": "http://127.0.0.1:4318"})
BASE, TRACES = "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
PROTOCOL = "OTEL_EXPORTER_OTLP_PROTOCOL"


def found(environment: dict[str, str], given: str | None = None, target: Target = ALONE) -> str:
    """The address to which spans are sent."""
    chosen = collector.choose(target, given, environment)
    assert isinstance(chosen, Collector), chosen
    return chosen.url


@pytest.mark.parametrize(
    ("given", "environment", "url"),
    [
        ("http://c:4318", {}, "http://c:4318/v1/traces"),
        ("http://c:4318/", {}, "http://c:4318/v1/traces"),
        ("https://c/otlp", {}, "https://c/otlp/v1/traces"),
        ("http://c:4318/v1/traces", {}, "http://c:4318/v1/traces"),
        ("http://c:4318", {TRACES: "http://other/x"}, "http://c:4318/v1/traces"),
        (None, {BASE: "http://c:4318"}, "http://c:4318/v1/traces"),
        (None, {BASE: "http://c:4318/", PROTOCOL: "http/json"}, "http://c:4318/v1/traces"),
        (None, {TRACES: "http://c:4318/own", BASE: "http://d"}, "http://c:4318/own"),
        (None, {TRACES: "", BASE: "http://d:1"}, "http://d:1/v1/traces"),
        (
            None,
            {BASE: "http://d:1", PROTOCOL: "grpc", f"{PROTOCOL[:-9]}_TRACES_PROTOCOL": "http/json"},
            "http://d:1/v1/traces",
        ),
    ],
)
def test_the_option_comes_first_and_then_the_variable_of_traces(
    given: str | None, environment: dict[str, str], url: str
) -> None:
    """OTEL_EXPORTER_OTLP_TRACES_ENDPOINT is used as it is; to a base the path is added."""
    assert found(environment, given) == url


def test_of_a_stack_its_own_collector_is_taken_unless_another_is_named() -> None:
    """What Jaeger is asked for must arrive there."""
    assert found({BASE: "http://d"}, target=STACK) == "http://127.0.0.1:4318/v1/traces"
    assert found({}, "http://c:1", STACK) == "http://c:1/v1/traces"


@pytest.mark.parametrize(
    ("environment", "told"),
    [
        ({}, "--stack NAME or --otlp URL names one"),
        ({BASE: "http://c:4317", PROTOCOL: "grpc"}, f"{PROTOCOL} is grpc, and ktrace speaks"),
        ({BASE: "c:4318"}, f"{BASE} 'c:4318' is not http://HOST:PORT"),
        ({BASE: "http://c", "OTEL_TRACES_EXPORTER": "none"}, "OTEL_TRACES_EXPORTER is none"),
        ({BASE: "http://c", "OTEL_SDK_DISABLED": "true"}, "OTEL_SDK_DISABLED is true"),
    ],
)
def test_what_the_environment_cannot_give_is_told_and_costs_nothing(
    environment: dict[str, str], told: str
) -> None:
    chosen = collector.choose(ALONE, None, environment)
    assert isinstance(chosen, str)
    assert chosen.startswith("the command has no trace of its own")
    assert told in chosen


def test_a_login_is_in_no_message() -> None:
    chosen = collector.choose(ALONE, None, {BASE: "ftp://me:hunter2@c"})
    assert isinstance(chosen, str)
    assert "hunter2" not in chosen
    assert "hunter2" not in repr(Collector("http://c", {"authorization": "hunter2"}))


@pytest.mark.parametrize("wrong", ["c:4318", "ftp://c", "http://", ""])
def test_an_option_that_is_no_address_is_refused(wrong: str) -> None:
    with pytest.raises(UsageError, match=r"--otlp .* is not http://HOST:PORT"):
        collector.choose(ALONE, wrong, {})


@pytest.mark.parametrize(
    ("value", "headers"),
    [
        ("api-key=a%20b,x=1", {"api-key": "a b", "x": "1"}),
        (" a = 1 , , broken, =2", {"a": "1"}),
        ("a=1\r\nb: 2", {}),
        ("", {}),
    ],
)
def test_headers_are_those_of_the_environment(value: str, headers: dict[str, str]) -> None:
    environment: dict[str, Any] = {BASE: "http://c", "OTEL_EXPORTER_OTLP_HEADERS": value}
    chosen = collector.choose(ALONE, None, environment)
    assert isinstance(chosen, Collector)
    assert chosen.headers == headers
    own = {**environment, "OTEL_EXPORTER_OTLP_TRACES_HEADERS": "t=3"}
    chosen = collector.choose(ALONE, None, own)
    assert isinstance(chosen, Collector)
    assert chosen.headers == {"t": "3"}
    assert collector.choose(STACK, None, environment) == Collector.at("http://127.0.0.1:4318")
