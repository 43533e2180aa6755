"""The version table: it covers every release that settings accept, and each row has a source."""

from __future__ import annotations

import itertools
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime_observability.core import compatibility
from runtime_observability.core.compatibility import ContainerdTracing
from runtime_observability.core.versions import Timeline, Version

TIMELINES: dict[str, Timeline[Any]] = {
    name: value for name, value in vars(compatibility).items() if isinstance(value, Timeline)
}
COLLECTOR_TIMELINES = {
    "OTLP_EXPORTER",
    "OTLP_HTTP_EXPORTER",
    "TAKES_EVERYTHING",
    "COLLECTOR_METRICS",
    "SAMPLER_OPTIONS",
}
JAEGER_TIMELINES = {"JAEGER_GENERATION"}
LATER = {"ETCD_TRACING_PREFIX"}
"""Tables that begin after the oldest release; settings refuse the feature for earlier releases."""


def test_all_tables_are_looked_at() -> None:
    assert len(TIMELINES) >= 5


@pytest.mark.parametrize("name", TIMELINES)
def test_every_row_names_its_source(name: str) -> None:
    for _, row in TIMELINES[name]._rows:
        assert any(character.isdigit() for character in row.source), f"{row} names no release"
        assert len(row.source) > 20


@pytest.mark.parametrize("name", TIMELINES)
def test_a_row_changes_something(name: str) -> None:
    values = [row.value for _, row in TIMELINES[name]._rows]
    assert all(before != after for before, after in itertools.pairwise(values))


@pytest.mark.parametrize("name", [name for name in TIMELINES if name not in LATER])
def test_a_table_reaches_back_to_the_oldest_release(name: str) -> None:
    oldest = compatibility.OLDEST_K3S
    if name in COLLECTOR_TIMELINES:
        oldest = compatibility.OLDEST_COLLECTOR
    elif name in JAEGER_TIMELINES:
        oldest = compatibility.OLDEST_JAEGER
    assert TIMELINES[name].begins <= oldest


@pytest.mark.parametrize(
    ("release", "tracing", "exporter_gate"),
    [
        ("v1.27.1-k3s1", "apiserver.config.k8s.io/v1beta1", False),
        ("v1.27.5-k3s1", "apiserver.config.k8s.io/v1beta1", False),
        ("v1.33.6-k3s1", "apiserver.config.k8s.io/v1beta1", False),
        ("v1.34.0-k3s1", "apiserver.config.k8s.io/v1", False),
        ("v1.34.4-k3s1", "apiserver.config.k8s.io/v1", False),
        ("v1.35.0-k3s1", "apiserver.config.k8s.io/v1", True),
        ("v1.37.1-k3s1", "apiserver.config.k8s.io/v1", True),
    ],
)
def test_what_holds_for_a_release(release: str, tracing: str, exporter_gate: bool) -> None:
    version = Version.parse(release)
    assert compatibility.TRACING_CONFIGURATION.at(version) == tracing
    assert compatibility.FAIL_CGROUP_V1_IS_DEFAULT.at(version) is exporter_gate


@pytest.mark.parametrize(
    ("release", "exporter"),
    [("0.54.0", "otlp"), ("0.143.0", "otlp"), ("0.144.0", "otlp_grpc"), ("0.155.0", "otlp_grpc")],
)
def test_the_exporter_is_named_as_the_release_does(release: str, exporter: str) -> None:
    assert compatibility.OTLP_EXPORTER.at(Version.parse(release)) == exporter


@pytest.mark.parametrize(
    ("mode", "release", "traced", "reason"),
    [
        ("auto", "v1.27.1-k3s1", True, "the containerd of k3s 1.27.1-k3s1 has the tracing plugin"),
        ("auto", "v1.27.5-k3s1", True, "upstream containerd 1.7.29 replaces the one of"),
        ("auto", "v1.34.4-k3s1", True, "upstream containerd 2.3.4 replaces the one of"),
        ("upstream", "v1.27.1-k3s1", True, "upstream containerd 1.7.29"),
        ("image", "v1.34.4-k3s1", True, "the image's own containerd"),
        ("off", "v1.27.1-k3s1", False, "containerdTracing is off"),
        ("off", "v1.34.4-k3s1", False, "containerdTracing is off"),
    ],
)
def test_whether_containerd_is_traced(
    mode: ContainerdTracing, release: str, traced: bool, reason: str
) -> None:
    plan = compatibility.containerd_plan(mode, Version.parse(release))
    assert plan.traced is traced
    assert reason in plan.reason
    assert (plan.delivery is not None) is traced


@pytest.mark.parametrize(
    ("release", "line"),
    [
        ("v1.27.2-k3s1", 1),
        ("v1.30.14-k3s1", 1),
        ("v1.31.5-k3s1", 1),
        ("v1.31.6-k3s1", 2),
        ("v1.32.0-k3s1", 1),
        ("v1.32.1-k3s1", 1),
        ("v1.32.2-k3s1", 2),
        ("v1.33.0-k3s1", 2),
        ("v1.37.1-k3s1", 2),
    ],
)
def test_the_upstream_containerd_is_of_the_bundled_ones_line(release: str, line: int) -> None:
    """It must read the configuration that k3s writes: version 2 for 1.7, version 3 for 2.0."""
    upstream = compatibility.UPSTREAM_CONTAINERD.at(Version.parse(release))
    assert Version.parse(upstream.version).major == line


@pytest.mark.parametrize(
    ("release", "delivery"), [("v1.27.1-k3s1", "template"), ("v1.27.2-k3s1", "environment")]
)
def test_how_an_images_own_containerd_is_told(release: str, delivery: str) -> None:
    assert compatibility.containerd_plan("image", Version.parse(release)).delivery == delivery


def test_an_upstream_release_is_pinned_for_both_architectures() -> None:
    for _, row in compatibility.UPSTREAM_CONTAINERD._rows:
        release = row.value
        assert release.sha256.keys() == {"amd64", "arm64"}
        assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in release.sha256.values())
        assert release.url("arm64") == (
            "https://github.com/containerd/containerd/releases/download/"
            f"v{release.version}/containerd-static-{release.version}-linux-arm64.tar.gz"
        )


@pytest.mark.parametrize(
    ("release", "architecture", "digest"),
    [
        ("1.7.29", "amd64", "ba4a2e919d2882dba707d8c9c436ed3496e3bb99f5cfb13a31b29b497cf7ec2e"),
        ("1.7.29", "arm64", "d428ad3fb7036c07c141f6666de575d8c7fd862e658a28da5ae20b737fdf7d75"),
        ("2.3.4", "amd64", "1d0eccd52471ab75e8d4645b538f73dc635f905cd2be776366eb1036a0089595"),
        ("2.3.4", "arm64", "ad21f456a69bca9c183a8bde892a7576d5d09ae88b3e376a47bde4a886037ab3"),
    ],
)
def test_an_upstream_release_has_its_published_checksum(
    release: str, architecture: str, digest: str
) -> None:
    """Written down twice: on the architecture of no test, nothing else would notice a slip."""
    releases = {row.value.version: row.value for _, row in compatibility.UPSTREAM_CONTAINERD._rows}
    assert releases.keys() == {"1.7.29", "2.3.4"}
    assert releases[release].sha256[architecture] == digest


@pytest.mark.parametrize(
    ("release", "tag"),
    [
        ("v1.27.1-k3s1", "3.6"),
        ("v1.34.9-k3s1", "3.6"),
        ("v1.34.10-k3s1", "3.10.2"),
        ("v1.35.0-k3s1", "3.6"),
        ("v1.35.6-k3s1", "3.6"),
        ("v1.35.7-k3s1", "3.10.2"),
        ("v1.36.0-k3s1", "3.6"),
        ("v1.36.2-k3s1", "3.6"),
        ("v1.36.3-k3s1", "3.10.2"),
        ("v1.37.1-k3s1", "3.10.2"),
    ],
)
def test_the_sandbox_image_is_the_one_that_a_release_has(release: str, tag: str) -> None:
    """The probe's pod runs it: any other would have to be pulled."""
    image = compatibility.SANDBOX_IMAGE.at(Version.parse(release))
    assert image == f"docker.io/rancher/mirrored-pause:{tag}"


@pytest.mark.parametrize(
    ("release", "prefix"),
    [("v1.31.0-k3s1", "experimental-"), ("v1.33.9-k3s1", "experimental-"), ("v1.34.0-k3s1", "")],
)
def test_how_etcds_flags_begin(release: str, prefix: str) -> None:
    assert compatibility.ETCD_TRACING_PREFIX.at(Version.parse(release)) == prefix


@pytest.mark.parametrize(
    ("release", "joined"),
    [
        ("v1.27.16-k3s1", True),
        ("v1.28.0-k3s1", False),
        ("v1.29.15-k3s1", False),
        ("v1.30.0-k3s1", True),
    ],
)
def test_where_the_runtimes_calls_are_in_the_pods_trace(release: str, joined: bool) -> None:
    assert compatibility.RUNTIME_CALLS_JOIN_POD.at(Version.parse(release)) is joined


@pytest.mark.parametrize(
    ("release", "image"),
    [
        ("1.45.0", "docker.io/jaegertracing/all-in-one:1.45.0"),
        ("1.76.0", "docker.io/jaegertracing/all-in-one:1.76.0"),
        ("2.0.0", "docker.io/jaegertracing/jaeger:2.0.0"),
        ("2.13.0", "docker.io/jaegertracing/jaeger:2.13.0"),
    ],
)
def test_the_two_programs_named_jaeger_have_images_of_their_own(release: str, image: str) -> None:
    assert compatibility.jaeger_image(Version.parse(release)) == image


@pytest.mark.parametrize(
    ("release", "metrics"),
    [("0.54.0", "address"), ("0.110.0", "address"), ("0.111.0", "readers"), ("0.159.0", "readers")],
)
def test_how_the_collector_is_told_of_its_metrics(release: str, metrics: str) -> None:
    assert compatibility.COLLECTOR_METRICS.at(Version.parse(release)) == metrics


@given(st.integers(min_value=5, max_value=30), st.sampled_from(["", "k3s1", "k3s2"]))
def test_images_are_pinned_by_their_version(patch: int, build: str) -> None:
    version = Version(1, 34, patch, "", build)
    suffix = f"-{build}" if build else ""
    assert compatibility.k3s_image(version) == f"docker.io/rancher/k3s:v1.34.{patch}{suffix}"
    assert compatibility.collector_image(version).endswith(f":1.34.{patch}")


@pytest.mark.parametrize("name", TIMELINES)
def test_every_row_has_its_source(name: str) -> None:
    for version, row in TIMELINES[name]._rows:
        assert isinstance(row.source, str), version
        assert " " in row.source, f"{version}: {row.source}"
