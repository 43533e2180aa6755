"""What ``exporters`` add to the collector's configuration: pipelines, queues, files, secrets."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from runtime_observability.core import destinations, documents
from runtime_observability.core.settings.model import Settings
from runtime_observability.core.settings.parse import SettingsError, parse
from tests.configuration import defaults, parsed

PLAIN = {"endpoint": "collector.example:4317"}
HUSHED = "Bearer hush: #$$ ${env:HOME}"


def collector(settings: Settings) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(
        documents.collector(
            settings.collector_version,
            settings.collector_sampling_per_million,
            settings.collector_memory_mib,
            exporters=settings.exporters,
            allowed_origins=settings.allowed_origins,
        )
    )
    return document


def with_exporters(*exporters: dict[str, Any], **others: Any) -> Settings:
    return parsed(exporters=list(exporters), collectorMemoryMiB=1024, **others)


some_exporters = st.lists(
    st.fixed_dictionaries(
        {"name": st.from_regex(r"\A[a-z]{4}\Z")},
        optional={
            "signals": st.lists(
                st.sampled_from(["traces", "metrics", "logs"]), min_size=1, unique=True
            ),
            "only": st.lists(st.sampled_from(["apiserver", "etcd"]), unique=True),
            "headers": st.just({"a": "hush", "B": "hush"}),
        },
    ).map(lambda exporter: {**exporter, "endpoint": f"{exporter['name']}.example:4317"}),
    max_size=4,
    unique_by=lambda exporter: str(exporter["name"]),
)


@hypothesis_settings(max_examples=30)
@given(some_exporters)
def test_no_destination_changes_what_jaeger_gets(exporters: list[dict[str, Any]]) -> None:
    alone, together = collector(with_exporters()), collector(with_exporters(*exporters))
    pipeline = "traces"
    assert together["service"]["pipelines"][pipeline] == alone["service"]["pipelines"][pipeline]
    assert together["exporters"]["otlp_http/jaeger"] == alone["exporters"]["otlp_http/jaeger"]


@hypothesis_settings(max_examples=30)
@given(some_exporters)
def test_every_signal_is_accepted_and_queues_share_their_part(
    exporters: list[dict[str, Any]],
) -> None:
    document = collector(with_exporters(*exporters))
    pipelines = document["service"]["pipelines"]
    assert {name.partition("/")[0] for name in pipelines} == {"traces", "metrics", "logs"}
    queues = 0
    for name, pipeline in pipelines.items():
        (exporter,) = pipeline["exporters"]
        if exporter in ("nop", "otlp_http/jaeger"):
            continue
        queue = document["exporters"][exporter]["sending_queue"]
        assert queue["block_on_overflow"] is False
        assert pipeline["processors"][0] == "memory_limiter", name
        queues += queue["queue_size"]
    assert queues <= 1024 * 1024 * 1024 // 16
    used = {exporter for pipeline in pipelines.values() for exporter in pipeline["exporters"]}
    assert used == document["exporters"].keys()


def test_what_nobody_asks_for_is_dropped() -> None:
    pipelines = collector(with_exporters({**PLAIN, "signals": ["logs"]}))["service"]["pipelines"]
    assert {name: pipeline["exporters"] for name, pipeline in pipelines.items()} == {
        "traces": ["otlp_http/jaeger"],
        "metrics": ["nop"],
        "logs/collector-example": ["otlp_grpc/collector-example"],
    }


def test_an_old_collector_is_given_what_it_was() -> None:
    document = collector(parsed(collectorVersion="0.131.1"))
    assert document["exporters"].keys() == {"otlphttp/jaeger"}
    assert document["service"]["pipelines"].keys() == {"traces"}


def test_a_destination_gets_only_what_it_names_and_its_own_share() -> None:
    wanted = {**PLAIN, "only": ["apiserver", "kubelet"], "samplingPerMillion": 250_000}
    document = collector(with_exporters(wanted, collectorSamplingPerMillion=500_000))
    pipelines = document["service"]["pipelines"]
    own = pipelines["traces/collector-example"]["processors"]
    assert own == [
        "memory_limiter",
        "filter/collector-example",
        "probabilistic_sampler/collector-example",
        "batch/destinations",
    ]
    assert document["processors"]["filter/collector-example"]["traces"] == {
        "span": [
            'resource.attributes["service.name"] != "apiserver" and '
            'resource.attributes["service.name"] != "kubelet"'
        ]
    }
    samplers = {
        name: options["sampling_percentage"]
        for name, options in document["processors"].items()
        if name.startswith("probabilistic_sampler")
    }
    assert samplers == {
        "probabilistic_sampler": 50,
        "probabilistic_sampler/collector-example": 25,
    }
    assert "probabilistic_sampler" in pipelines["traces"]["processors"]


def test_no_secret_is_in_the_configuration_but_in_a_file_of_its_own() -> None:
    key = "-----BEGIN PRIVATE KEY-----\nhush\n"
    tls = {
        "caFile": "-----BEGIN CERTIFICATE-----\nca\n",
        "clientCert": "-----BEGIN CERTIFICATE-----\nmine\n",
        "clientKey": key,
    }
    settings = with_exporters({**PLAIN, "headers": {"Authorization": HUSHED}, "tls": tls})
    assert "hush" not in yaml.safe_dump(collector(settings))
    assert "hush" not in str(destinations.files(settings.exporters))
    (options,) = (
        options
        for name, options in collector(settings)["exporters"].items()
        if name.endswith("/collector-example")
    )
    secret, public = (
        destinations.secret_files(settings.exporters),
        destinations.files(settings.exporters),
    )
    path = options["headers"]["Authorization"].removeprefix("${file:").removesuffix("}")
    assert secret.pop(path) == HUSHED.replace("$", "$$")
    assert secret == {options["tls"]["key_file"]: key}
    assert public == {
        options["tls"]["ca_file"]: tls["caFile"],
        options["tls"]["cert_file"]: tls["clientCert"],
    }


def test_no_destination_gets_the_header_of_another() -> None:
    """Names and headers both have hyphens."""
    exporters = [
        {**PLAIN, "name": "team", "headers": {"api-key": "one"}},
        {**PLAIN, "name": "team-api", "headers": {"key": "two"}},
    ]
    values = destinations.secret_files(with_exporters(*exporters).exporters)
    assert sorted(values.values()) == ["one", "two"]


@pytest.mark.parametrize(
    ("endpoint", "label"),
    [
        ("Collector.Example:4317", "collector-example"),
        ("[fd00::1]:4317", "fd00-1"),
        (f"{'a' * 40}.example:4317", "a" * 32),
    ],
)
def test_a_name_is_made_of_the_host(endpoint: str, label: str) -> None:
    (exporter,) = with_exporters({"endpoint": endpoint}).exporters
    assert exporter.label == label


def test_origins_of_pages_are_those_of_the_http_receiver() -> None:
    protocols = collector(parsed(allowedOrigins=["http://localhost:*"]))["receivers"]["otlp"]
    assert protocols["protocols"]["http"]["cors"] == {"allowed_origins": ["http://localhost:*"]}
    without = collector(parsed())["receivers"]["otlp"]["protocols"]["http"]
    assert without == {"endpoint": "0.0.0.0:4318"}


@pytest.mark.parametrize("secret", [[], ["exporters"]])
@pytest.mark.parametrize(
    "broken",
    [
        {"headers": {"a": "hush\n"}},
        {"headers": {"a b": "hush"}},
        {"headers": "hush"},
        {"headers": ["hush"]},
        {"headers": {"a": ["hush"]}},
        {"tls": {"clientKey": "hush"}},
        {"tls": {"caFile": "-----BEGIN PRIVATE KEY-----hush"}},
        {"tls": "hush"},
        {"endpoint": "https://ada:hush@b.example", "protocol": "http"},
        {"only": "kubelet", "headers": {"a": "hush"}},
    ],
)
def test_no_message_repeats_a_secret(broken: dict[str, Any], secret: list[str]) -> None:
    with pytest.raises(SettingsError) as refused:
        parse(defaults() | {"exporters": [PLAIN | broken]}, secret)
    assert "hush" not in str(refused.value)
    assert all(problem.key.startswith("exporters.0.") for problem in refused.value.problems)
