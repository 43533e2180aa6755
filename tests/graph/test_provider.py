"""The component as programs in other languages see it: its schema, and its construction."""

from __future__ import annotations

import json
from typing import Any

import pulumi
import pytest
from pulumi.provider.experimental.component import ComponentProvider

from components import TracedEnvironment, TracedEnvironmentArgs
from runtime_observability.core import origin
from tests.configuration import PROJECT, SCHEMA
from tests.graph.program import ENVIRONMENT, Run, run, run_program
from tests.graph.test_changes import changed
from tests.graph.test_environment import CLAIM

NAME = "runtime-observability"
TOKEN = f"{NAME}:index:TracedEnvironment"
OWN_INPUTS = {"stack", "folder", "stateFolder"}


@pytest.fixture(scope="module")
def provider() -> ComponentProvider:
    return ComponentProvider([TracedEnvironment], NAME, version="0.1.0")


@pytest.fixture(scope="module")
def resource(provider: ComponentProvider) -> dict[str, Any]:
    schema = json.loads(str(provider.schema))
    assert schema["name"] == NAME
    assert list(schema["resources"]) == [TOKEN]
    found: dict[str, Any] = schema["resources"][TOKEN]
    assert found["isComponent"]
    return found


def test_every_key_is_an_input_and_none_is_required(resource: dict[str, Any]) -> None:
    """An acronym is lost on the way: jaegerMemoryMiB is jaegerMemoryMib there."""
    keys = {key.replace("MiB", "Mib"): rule["type"] for key, rule in SCHEMA.items()}
    inputs = resource["inputProperties"]
    kinds = {name: rule.get("type", "object") for name, rule in inputs.items()}
    assert {name: kind for name, kind in kinds.items() if name not in OWN_INPUTS} == keys
    assert kinds.keys() >= OWN_INPUTS
    assert resource.get("requiredInputs", []) == []


def test_inputs_are_plain_and_described(resource: dict[str, Any]) -> None:
    for name, rule in resource["inputProperties"].items():
        assert rule["plain"], name
        assert len(rule["description"]) > 20, name


def test_every_output_is_described(resource: dict[str, Any]) -> None:
    assert set(resource["properties"]) == {
        "jaegerUrl",
        "otlpGrpcEndpoint",
        "otlpHttpEndpoint",
        "otlpEndpointInCluster",
        "resourceAttributes",
        "kubeconfig",
        "clusterName",
        "clusterInstance",
        "links",
        "tracedComponents",
        "timeToFirstTraceSeconds",
        "firstTraceUrl",
    }
    assert all(rule["description"] for rule in resource["properties"].values())


def constructed(provider: ComponentProvider, inputs: dict[str, Any]) -> Run:
    """A program in another language: numbers arrive as floats, what is not set is absent."""

    def body() -> None:
        result = provider.construct(ENVIRONMENT, TOKEN, {"folder": str(PROJECT), **inputs})
        for key, value in result.state.items():
            pulumi.export(key, value)

    return run_program(body, project="shop")


def test_a_construction_is_the_same_program(provider: ComponentProvider) -> None:
    configured = run({"agents": 1, "jaegerMemoryMiB": 512, "registries": {"use": ["m:5000"]}})
    inputs = {"agents": 1.0, "jaegerMemoryMib": 512.0, "registries": {"use": ["m:5000"]}}
    made = constructed(provider, inputs)
    assert changed(configured, made) == CLAIM
    named = {origin.STACK: "organization/shop/dev"}
    expected = dict(configured.exports)
    expected["resourceAttributes"] = {**expected["resourceAttributes"], **named}
    assert {key: made.exports[key] for key in expected} == expected


def test_an_output_is_refused_by_name() -> None:
    def body() -> None:
        later: Any = pulumi.Output.from_input("v1.34.4-k3s1")
        TracedEnvironment("e", TracedEnvironmentArgs(k3s_version=later))

    refused = run_program(body, project="shop")
    assert refused.resources == ()
    assert str(refused.error).startswith("k3s_version is an Output")
