"""How much of each component's traces reaches Jaeger, and which of them must be there."""

from __future__ import annotations

import pytest

from runtime_observability.core.tracing import Tracing
from tests.configuration import parsed


def test_every_component_has_the_share_of_its_own_sampling() -> None:
    tracing = Tracing(
        parsed(
            servers=3,
            etcdTracing=True,
            collectorSamplingPerMillion=500_000,
            apiserverSamplingPerMillion=200_000,
            nodeSamplingPerMillion=400_000,
        )
    )
    assert tracing.shares == pytest.approx(
        {"apiserver": 0.1, "kubelet": 0.2, "containerd": 0.2, "etcd": 0.1}
    )


@pytest.mark.parametrize("preset", ["everything", "quiet", "starts", "errors-and-slow"])
def test_no_preset_changes_what_is_demanded_of_the_probes_pod(preset: str) -> None:
    usual = Tracing(parsed(k3sVersion="v1.29.5-k3s1"))
    chosen = Tracing(parsed(k3sVersion="v1.29.5-k3s1", tracing=preset))
    assert chosen.demanded == usual.demanded == ("apiserver", "kubelet")
    assert chosen.expected == (() if preset == "errors-and-slow" else ("containerd",))


@pytest.mark.parametrize(
    ("per_million", "demanded", "expected"),
    [
        (1_000_000, ("kubelet", "containerd"), ()),
        (999_999, (), ("kubelet", "containerd")),
        (100_000, (), ("kubelet", "containerd")),
        (99_999, (), ()),
        (0, (), ()),
    ],
)
def test_from_a_tenth_on_some_span_must_be_there_and_below_it_none(
    per_million: int, demanded: tuple[str, ...], expected: tuple[str, ...]
) -> None:
    tracing = Tracing(parsed(nodeSamplingPerMillion=per_million))
    assert tracing.demanded == ("apiserver", *demanded)
    assert tracing.expected == expected
