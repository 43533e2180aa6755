"""Every generated file: equal to its golden file, and valid for any release.

``UPDATE_GOLDEN=1 pytest tests/unit/core/test_documents.py`` rewrites golden/: read the diff.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from runtime_observability.core import (
    cluster_spec,
    documents,
    naming,
    origin,
    spec_changes,
    transition,
)
from runtime_observability.core.cluster_spec import ClusterSpec
from runtime_observability.core.naming import Names
from runtime_observability.core.settings.model import Settings
from runtime_observability.core.settings.parse import SettingsError
from runtime_observability.core.support import DEFAULT_K3S
from runtime_observability.core.versions import Version
from tests import configuration, golden
from tests.configuration import of_stack_file, parsed

GOLDEN = Path(__file__).parent / "golden"
NAMES = Names("dev", Path("/home/ada/observability"))

VARIANTS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "lab": of_stack_file("lab"),
    "two-agents": {"agents": 2},
    "sampled": {
        "apiserverSamplingPerMillion": 500_000,
        "nodeSamplingPerMillion": 1,
        "collectorSamplingPerMillion": 10_000,
        "containerdTracing": "image",
    },
    "quiet": {"tracing": "quiet"},
    "starts": {"tracing": "starts"},
    "errors-and-slow": {"tracing": "errors-and-slow", "slowerThan": "500ms"},
    "without-containerd": {"containerdTracing": "off"},
    "etcd-3.5": {"k3sVersion": "v1.33.6-k3s1", "servers": 3, "etcdTracing": True},
    "etcd-3.6": {"servers": 3, "etcdTracing": True},
    "k3s-1.35-on-cgroup-v1": {"k3sVersion": "v1.35.2-k3s1"},
    "handed-through": {
        "servers": 3,
        "agents": 2,
        "kubeApiPort": 6443,
        "k3sImage": "localhost:5000/k3s:mine",
        "k3dToolsImage": "localhost:5000/k3d-tools:5.9.0",
        "k3sArgs": [
            "--disable=traefik@server:*",
            "--tls-san=a.test",
            "--node-label=a=b@agent:0;agent:1",
        ],
        "publishedPorts": ["8080:80", "5353:53/udp"],
        "registries": {"use": ["k3d-registry:5000"], "config": "mirrors: {}\n"},
        "jaegerMaxTraces": 1000,
    },
    "badger": {"traceStore": "badger", "traceRetention": "14d"},
    "without-jaeger": {
        "traceStore": "none",
        "exporters": [{"endpoint": "collector.example:4317", "name": "central"}],
    },
    "opensearch": {
        "traceStore": "opensearch",
        "traceRetention": "14d",
        "openSearchUrls": ["https://a.search.example:9200", "https://b.search.example:9200/"],
        "traceStoreShards": 3,
    },
    "elasticsearch": {
        "traceStore": "elasticsearch",
        "elasticsearchUrls": ["http://search.example:9200/proxied"],
        "traceStoreReplicas": 0,
    },
    "cassandra": {
        "traceStore": "cassandra",
        "traceRetention": "12h",
        "cassandraServers": ["a.cassandra.example", "b.cassandra.example:9142"],
        "traceStoreReplicas": 2,
        "traceStoreCaFile": "/etc/ssl/certs/ca-certificates.crt",
    },
}


def rendered(settings: Settings, *, cgroup_v1: bool = False) -> dict[str, str]:
    """Everything that is generated for the stack, by file."""
    files = documents.node_files(settings, cgroup_v1=cgroup_v1)
    spec = configuration.spec_of(NAMES, settings, cgroup_v1=cgroup_v1)
    labels = NAMES.labels | {naming.SPEC_LABEL: transition.identity(spec)}
    return files | {
        "k3d.yaml": documents.dump(cluster_spec.with_labels(spec.config, labels)),
        **({"jaeger.yaml": documents.jaeger(settings, NAMES)} if settings.has_jaeger else {}),
        "collector.yaml": documents.collector(
            settings.collector_version,
            settings.collector_sampling_per_million,
            settings.collector_memory_mib,
            exporters=settings.exporters,
            tracing=settings.preset,
            to_jaeger=settings.has_jaeger,
            origin=origin.of(NAMES, settings.stack_owner),
        ),
    }


def spec_of(**changes: Any) -> ClusterSpec:
    return configuration.spec_of(NAMES, parsed(**changes))


@pytest.mark.parametrize("variant", VARIANTS)
def test_files_are_as_they_were(variant: str) -> None:
    """The golden file of a variant has the files that differ from those of the defaults."""
    usual = {} if variant == "defaults" else rendered(parsed())
    files = rendered(parsed(**VARIANTS[variant]), cgroup_v1="cgroup-v1" in variant)
    changed = {name: text for name, text in files.items() if usual.get(name) != text}
    text = "".join(f"--- # {name}\n{content}" for name, content in changed.items())
    golden.check(GOLDEN / f"{variant}.yaml", text)


def test_no_golden_file_is_left_over() -> None:
    assert {path.stem for path in GOLDEN.glob("*.yaml")} == set(VARIANTS)


# --- for every release and every configuration ----------------------------------------------------

k3s_releases = st.builds(
    Version,
    st.just(1),
    st.integers(min_value=27, max_value=38),
    st.integers(min_value=1, max_value=20),
    st.just(""),
    st.sampled_from(["k3s1", "k3s2"]),
)
collector_releases = st.builds(
    Version, st.just(0), st.integers(min_value=54, max_value=165), st.integers(1, 3)
)
per_million = st.integers(min_value=0, max_value=1_000_000)
configurations = st.fixed_dictionaries(
    {
        "k3sVersion": k3s_releases.map(str),
        "collectorVersion": collector_releases.map(str),
        "servers": st.sampled_from([1, 3, 5]),
        "agents": st.integers(min_value=0, max_value=10),
        "apiserverSamplingPerMillion": per_million,
        "nodeSamplingPerMillion": per_million,
        "collectorSamplingPerMillion": per_million,
        "containerdTracing": st.sampled_from(["auto", "image", "upstream", "off"]),
        "collectorMemoryMiB": st.integers(min_value=64, max_value=4096),
        "portOffset": st.integers(min_value=0, max_value=40_000),
    }
)

_KNOWN_KEYS = {
    # kubernetes/apiserver v0.34.0 pkg/apis/apiserver/v1/types.go: decoding is strict
    documents.APISERVER_FILE: {"apiVersion", "kind", "endpoint", "samplingRatePerMillion"},
    # kubernetes/kubelet v0.35.0 config/v1beta1/types.go: the program sets only these keys
    documents.KUBELET_FILE: {"apiVersion", "kind", "tracing", "failCgroupV1"},
    "collector.yaml": {"receivers", "processors", "exporters", "extensions", "service"},
    "jaeger.yaml": {"receivers", "processors", "exporters", "extensions", "service"},
    # k3d v5.9.0 pkg/config/v1alpha5/schema.json
    "k3d.yaml": {
        "apiVersion", "kind", "metadata", "servers", "agents", "image", "network", "kubeAPI",
        "volumes", "ports", "env", "options", "registries",
    },
}  # fmt: skip


@hypothesis.settings(max_examples=20)
@given(configurations, st.booleans())
def test_any_configuration_gives_files_that_their_readers_know(
    changes: dict[str, Any], cgroup_v1: bool
) -> None:
    files = rendered(parsed(**changes), cgroup_v1=cgroup_v1)
    files.pop(documents.CONTAINERD_FILE, None)
    for name, text in files.items():
        document = yaml.safe_load(text)
        assert document.keys() <= _KNOWN_KEYS[name]
        assert documents.dump(document) == text, "one way to write it, so no change shows as none"
        assert "feature" not in text.lower(), "a gate of tracing is refused once it is locked"
        assert "{{" not in text
        assert "&id" not in text


@hypothesis.settings(max_examples=20)
@given(configurations)
def test_every_pipeline_is_made_of_what_is_configured(changes: dict[str, Any]) -> None:
    files = rendered(parsed(**changes))
    for name in ("collector.yaml", "jaeger.yaml"):
        document = yaml.safe_load(files[name])
        pipelines = document["service"]["pipelines"].values()
        for kind in ("receivers", "processors", "exporters"):
            used = {name for pipeline in pipelines for name in pipeline.get(kind, ())}
            assert sorted(used) == sorted(document[kind])
        assert sorted(document["service"]["extensions"]) == sorted(document["extensions"])


@hypothesis.settings(max_examples=20)
@given(configurations)
def test_the_limiter_is_first_and_leaves_room(changes: dict[str, Any]) -> None:
    settings = parsed(**changes)
    document = yaml.safe_load(rendered(settings)["collector.yaml"])
    processors = document["service"]["pipelines"]["traces"]["processors"]
    assert (processors[0], processors[-1]) == ("memory_limiter", "batch")
    limiter = document["processors"]["memory_limiter"]
    assert 0 < limiter["spike_limit_mib"] < limiter["limit_mib"] < settings.collector_memory_mib


@given(per_million)
def test_a_sampler_is_there_when_something_is_dropped(kept: int) -> None:
    document = yaml.safe_load(documents.collector(Version(0, 155, 0), kept, 256))
    sampler = document["processors"].get("probabilistic_sampler")
    if kept == 1_000_000:
        assert sampler is None
    else:
        assert sampler["sampling_percentage"] * 10_000 == pytest.approx(kept)
        assert sampler["mode"] == "proportional"


@given(k3s_releases, st.booleans())
def test_only_a_kubelet_that_knows_it_is_told_of_cgroup_v1(
    version: Version, cgroup_v1: bool
) -> None:
    document = yaml.safe_load(documents.kubelet_tracing(version, 0, cgroup_v1=cgroup_v1))
    assert ("failCgroupV1" in document) == (cgroup_v1 and version.minor >= 35)
    assert document.get("failCgroupV1", False) is False


# k3d expands $NAME in its whole configuration, and there is no escape.
user_text = st.text(alphabet="$az:/.-=@*;5{}\\", max_size=12)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "k3sImage": user_text,
            "k3sArgs": st.lists(user_text.map("--".__add__), max_size=2),
            "publishedPorts": st.lists(user_text, max_size=2),
            "registries": st.fixed_dictionaries(
                {}, optional={"use": st.lists(user_text, max_size=2), "config": user_text}
            ),
        },
    )
)
def test_there_is_never_a_dollar_for_k3d(changes: dict[str, Any]) -> None:
    try:
        settings = parsed(**changes)
    except SettingsError:
        return
    assert "$" not in rendered(settings)["k3d.yaml"]


# --- the cluster's specification ------------------------------------------------------------------


@given(configurations)
def test_a_spec_survives_the_way_to_ensure(changes: dict[str, Any]) -> None:
    spec = spec_of(**changes)
    read = json.loads(json.dumps(spec.document, sort_keys=True))
    assert ClusterSpec.read(read) == spec


OTHER_CHANGES: list[dict[str, Any]] = [
    {"jaegerVersion": "2.12.0"},
    {"collectorVersion": "0.151.0"},
    {"collectorSamplingPerMillion": 1},
    {"jaegerImage": "mine:1"},
    {"collectorImage": "mine:1"},
    {"jaegerUiPort": 20_000},
    {"otlpGrpcPort": 20_000},
    {"jaegerMaxTraces": 2000},
    {"collectorMemoryMiB": 300},
    {"traceProbe": False},
    {"probeImage": "mine:1"},
    {"containerdTracing": "upstream"},
]


@pytest.mark.parametrize("change", OTHER_CHANGES, ids=lambda change: next(iter(change)))
def test_what_leaves_the_cluster_alone(change: dict[str, Any]) -> None:
    assert spec_of(**change).document == spec_of().document


@pytest.mark.parametrize(
    ("change", "lines"),
    [
        ({"agents": 1}, ["agents: 0 → 1"]),
        ({"k3sArgs": ["--disable=traefik"]}, ['k3sArgs: [] → ["--disable=traefik"]']),
        ({"k3sVersion": "v1.35.4-k3s1"}, [f'k3sVersion: "v{DEFAULT_K3S}" → "v1.35.4-k3s1"']),
        ({"k3sImage": f"mine:{'1' * 60}"}, ["k3sImage"]),
        ({"registries": {"use": ["mirror:5000"], "config": "mirrors: {}"}}, ["registries"]),
        ({"agents": 1, "kubeApiPort": 7000}, ["agents: 0 → 1", "kubeApiPort: 6550 → 7000"]),
    ],
)
def test_a_change_is_told_by_its_keys(change: dict[str, Any], lines: list[str]) -> None:
    assert spec_changes.changes(spec_of().document, spec_of(**change).document) == lines


def test_a_change_that_no_key_made_is_told_by_its_place() -> None:
    """For example another release of this project, or one that did not record the keys."""
    document = spec_of().document
    before = document | {"files": document["files"] | {"a.yaml": "1"}}
    assert spec_changes.changes(before, document) == ["files.a.yaml"]
    del before["settings"]
    assert spec_changes.changes(before, document) == ["files.a.yaml"]


@pytest.mark.parametrize("text", ["mirrors: {a.example: null}", "mirrors:\n  a.example:\n"])
def test_k3d_takes_registries_for_a_text_and_not_for_a_path(text: str) -> None:
    """Without a line break it is a path for k3d (k3d v5.9.0 pkg/config/transform.go)."""
    config = spec_of(registries={"config": text}).config
    handed = yaml.safe_load(documents.dump(config))["registries"]["config"]
    assert "\n" in handed
    assert yaml.safe_load(handed) == {"mirrors": {"a.example": None}}
    assert "registries" not in spec_of(registries={"config": ""}).config


def test_agents_are_traced_like_servers() -> None:
    config = spec_of(agents=1).config
    everywhere = ["server:*", "agent:*"]
    assert [volume["nodeFilters"] for volume in config["volumes"]] == [everywhere]
    environment = {entry["envVar"]: entry["nodeFilters"] for entry in config["env"]}
    own = {
        variable: environment.pop(variable)
        for variable in [*environment]
        if variable.startswith("OTEL_RESOURCE_ATTRIBUTES=")
    }
    assert list(environment.values()) == [everywhere] * len(environment)
    assert own == {
        "OTEL_RESOURCE_ATTRIBUTES=k8s.node.name=k3d-traced-dev-server-0": ["server:0"],
        "OTEL_RESOURCE_ATTRIBUTES=k8s.node.name=k3d-traced-dev-agent-0": ["agent:0"],
    }
    filters = {
        argument["arg"].split("=")[0]: argument["nodeFilters"]
        for argument in config["options"]["k3s"]["extraArgs"]
    }
    assert filters == {"--kube-apiserver-arg": ["server:*"], "--kubelet-arg": everywhere}


def test_labels_reach_every_node_and_no_digest() -> None:
    config = spec_of(agents=1).config
    labelled = cluster_spec.with_labels(config, {"a": "b"})
    assert labelled["options"]["runtime"]["labels"] == [
        {"label": "a=b", "nodeFilters": ["server:*", "agent:*"]}
    ]
    assert config == spec_of(agents=1).config, "the spec itself stays as it was"


@pytest.mark.parametrize(
    ("before", "after", "paths"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1}, {"a": 2}, ["a"]),
        (
            {"k3d": {"agents": 0, "image": "x"}},
            {"k3d": {"agents": 1, "image": "x"}},
            ["k3d.agents"],
        ),
        ({"a": {"b": 1}}, {"a": {"c": 1}}, ["a.b", "a.c"]),
        ({"a": [1]}, {"a": [2]}, ["a"]),
        ({}, {"registries": {"use": []}}, ["registries"]),
    ],
)
def test_differences_are_paths(before: Any, after: Any, paths: list[str]) -> None:
    assert spec_changes.differences(before, after) == paths


def test_templates_are_valid_files_for_the_default_stack() -> None:
    """Editors check the templates unchanged, so their values must be valid."""
    files = rendered(parsed())
    for name in (documents.APISERVER_FILE, documents.KUBELET_FILE, "jaeger.yaml"):
        template = (documents._TEMPLATES / name).read_text()
        assert yaml.safe_load(template) == yaml.safe_load(files[name])


def test_the_containerd_template_is_mounted_where_k3s_looks_for_it() -> None:
    """On agents too, in addition to the folder that every node mounts."""
    config = spec_of(k3sVersion="v1.27.1-k3s1", agents=1).config
    source = NAMES.node_directory / documents.CONTAINERD_FILE
    assert config["volumes"][1:] == [
        {
            "volume": f"{source}:/var/lib/rancher/k3s/agent/etc/containerd/config.toml.tmpl:ro",
            "nodeFilters": ["server:*", "agent:*"],
        }
    ]
    assert not any("CONTAINERD_" in entry["envVar"] for entry in config["env"])


def test_etcd_is_traced_when_asked() -> None:
    def flags(**changes: Any) -> list[str]:
        arguments = spec_of(servers=3, **changes).config["options"]["k3s"]["extraArgs"]
        return [entry["arg"] for entry in arguments if entry["arg"].startswith("--etcd-arg")]

    assert flags() == []
    assert flags(etcdTracing=True, apiserverSamplingPerMillion=7) == [
        "--etcd-arg=enable-distributed-tracing=true",
        "--etcd-arg=distributed-tracing-address=otel-collector:4317",
        "--etcd-arg=distributed-tracing-service-name=etcd",
        "--etcd-arg=distributed-tracing-sampling-rate=7",
    ]
    older = flags(etcdTracing=True, k3sVersion="v1.33.6-k3s1")
    assert all(flag.startswith("--etcd-arg=experimental-") for flag in older)
    assert len(older) == 4
