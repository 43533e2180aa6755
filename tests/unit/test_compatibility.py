"""The version table: complete for what settings accept, each row with its source."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components import compatibility
from components.compatibility import ContainerdTracing
from components.versions import Timeline, Version

TIMELINES: dict[str, Timeline[Any]] = {
    name: value for name, value in vars(compatibility).items() if isinstance(value, Timeline)
}
K3S_TIMELINES = {name: table for name, table in TIMELINES.items() if name != "OTLP_EXPORTER"}


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


@pytest.mark.parametrize("name", K3S_TIMELINES)
def test_a_table_reaches_back_to_the_oldest_k3s(name: str) -> None:
    assert K3S_TIMELINES[name].begins <= compatibility.OLDEST_K3S


def test_the_exporters_reach_back_to_the_oldest_collector() -> None:
    assert compatibility.OTLP_EXPORTER.begins <= compatibility.OLDEST_COLLECTOR


@pytest.mark.parametrize(
    ("release", "tracing", "exporter_gate"),
    [
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
    [("0.111.0", "otlp"), ("0.143.0", "otlp"), ("0.144.0", "otlp_grpc"), ("0.155.0", "otlp_grpc")],
)
def test_the_exporter_is_named_as_the_release_does(release: str, exporter: str) -> None:
    assert compatibility.OTLP_EXPORTER.at(Version.parse(release)) == exporter


@pytest.mark.parametrize(
    ("mode", "release", "traced", "reason"),
    [
        ("auto", "v1.27.1-k3s1", True, "has containerd's tracing plugin"),
        ("auto", "v1.27.5-k3s1", False, "without its tracing plugin"),
        ("auto", "v1.34.4-k3s1", False, "without its tracing plugin"),
        ("image", "v1.34.4-k3s1", True, "the image's own containerd"),
        ("off", "v1.27.1-k3s1", False, "containerdTracing is off"),
    ],
)
def test_whether_containerd_is_traced(
    mode: ContainerdTracing, release: str, traced: bool, reason: str
) -> None:
    plan = compatibility.containerd_plan(mode, Version.parse(release))
    assert plan.traced is traced
    assert reason in plan.reason


@given(st.integers(min_value=5, max_value=30), st.sampled_from(["", "k3s1", "k3s2"]))
def test_images_are_pinned_by_the_version(patch: int, build: str) -> None:
    version = Version(1, 34, patch, "", build)
    suffix = f"-{build}" if build else ""
    assert compatibility.k3s_image(version) == f"docker.io/rancher/k3s:v1.34.{patch}{suffix}"
    assert compatibility.jaeger_image(version).endswith(f"/jaeger:1.34.{patch}")
    assert compatibility.collector_image(version).endswith(f":1.34.{patch}")
