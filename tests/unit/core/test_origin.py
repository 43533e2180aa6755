"""What the collector says of the stack on everything that passes through it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from runtime_observability.core import documents, origin
from runtime_observability.core.naming import Names
from runtime_observability.core.settings.model import Settings
from runtime_observability.core.versions import Version
from tests.configuration import parsed

FOLDER = Path("/home/ada/observability")
NAMES = Names("dev", FOLDER, pulumi_stack="acme/shop/dev")
EXPORTERS = [
    {"endpoint": "a.example:4317", "signals": ["traces", "metrics"], "only": ["kubelet"]},
    {"endpoint": "https://b.example", "protocol": "http", "samplingPerMillion": 5},
]


def collector(settings: Settings, names: Names = NAMES) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(
        documents.collector(
            settings.collector_version,
            settings.collector_sampling_per_million,
            settings.collector_memory_mib,
            exporters=settings.exporters,
            tracing=settings.preset,
            origin=origin.of(names, settings.stack_owner),
        )
    )
    return document


def test_the_attributes_of_a_stack() -> None:
    assert origin.of(NAMES).attributes == {
        "runtime_observability.stack": "acme/shop/dev",
        "runtime_observability.owner": NAMES.owner,
        "k8s.cluster.name": "traced-dev",
        "deployment.environment.name": "dev",
    }
    assert origin.of(NAMES, "ada").attributes["runtime_observability.owner"] == "ada"


@pytest.mark.parametrize(
    ("stack", "pulumi_stack", "told"),
    [
        ("dev", "", "organization/runtime-observability/dev"),
        ("dev", "acme/shop/dev", "acme/shop/dev"),
        ("blue", "acme/shop/dev", "acme/shop/dev/blue"),
        ("shop/dev", "acme/shop/dev", "acme/shop/dev/shop/dev"),
    ],
)
def test_a_stack_is_named_beyond_its_folder(stack: str, pulumi_stack: str, told: str) -> None:
    """Several environments of one program are of one stack of Pulumi."""
    assert Names(stack, FOLDER, None, pulumi_stack).full_stack == told


def test_two_folders_without_an_owner_are_two_owners() -> None:
    others = Names("dev", Path("/home/bob/observability"), pulumi_stack="acme/shop/dev")
    assert origin.of(NAMES).own != origin.of(others).own


@pytest.mark.parametrize("tracing", ["everything", "quiet"])
@pytest.mark.parametrize("per_million", [1_000_000, 5])
def test_every_pipeline_has_them_right_before_its_batches(tracing: str, per_million: int) -> None:
    settings = parsed(
        exporters=EXPORTERS,
        tracing=tracing,
        collectorSamplingPerMillion=per_million,
        collectorMemoryMiB=512,
    )
    pipelines = collector(settings)["service"]["pipelines"]
    assert pipelines.keys() == {
        "traces", "traces/a-example", "metrics/a-example", "traces/b-example", "logs",
    }  # fmt: skip
    for name, pipeline in pipelines.items():
        if pipeline["exporters"] == ["nop"]:
            assert "processors" not in pipeline
        else:
            before, last = pipeline["processors"][-2:]
            assert before == "resource/stack", name
            assert last.startswith("batch")
            assert pipeline["processors"].count(before) == 1


def test_a_sender_cannot_take_anothers_name_but_knows_its_environment() -> None:
    actions = collector(parsed())["processors"]["resource/stack"]["attributes"]
    assert {action["key"]: action["action"] for action in actions} == {
        "runtime_observability.stack": "upsert",
        "runtime_observability.owner": "upsert",
        "k8s.cluster.name": "insert",
        "deployment.environment.name": "insert",
    }


def test_the_collector_expands_nothing_in_a_name() -> None:
    names = Names("$a ${env:HOME}", FOLDER, pulumi_stack="acme/shop/dev")
    actions = collector(parsed(), names)["processors"]["resource/stack"]["attributes"]
    values = {action["key"]: action["value"] for action in actions}
    assert values["deployment.environment.name"] == "$$a $${env:HOME}"
    assert values["runtime_observability.stack"] == "acme/shop/dev/$$a $${env:HOME}"


@pytest.mark.parametrize("release", ["0.54.0", "0.111.0", "0.159.0"])
def test_it_is_the_same_in_every_release(release: str) -> None:
    text = documents.collector(
        Version.parse(release), 1_000_000, 256, origin=origin.of(NAMES, "ada")
    )
    document = yaml.safe_load(text)
    assert document["processors"]["resource/stack"]["attributes"][0] == {
        "key": "runtime_observability.stack",
        "value": "acme/shop/dev",
        "action": "upsert",
    }
    assert document["service"]["pipelines"]["traces"]["processors"] == [
        "memory_limiter",
        "resource/stack",
        "batch",
    ]
