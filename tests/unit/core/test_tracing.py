"""How much of each component's traces reaches Jaeger, and which of them must be there."""

from __future__ import annotations

from typing import Any

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


WAYS = [{"endpoint": "one.example:4317"}, {"endpoint": "logs.example:4317", "signals": ["logs"]}]


@pytest.mark.parametrize(
    ("ways", "demanded", "expected"),
    [
        ([], ("apiserver", "kubelet", "containerd"), ()),
        ([{"samplingPerMillion": 100_000}], (), ("apiserver", "kubelet", "containerd")),
        ([{"samplingPerMillion": 99_999}], (), ()),
        ([{"only": ["apiserver", "containerd"]}], ("apiserver",), ("containerd",)),
        ([{"only": ["kubelet"]}, {"only": ["apiserver"]}], (), ()),
    ],
    ids=str,
)
def test_what_any_exporter_leaves_out_is_not_demanded_of_another_jaeger(
    ways: list[dict[str, object]], demanded: tuple[str, ...], expected: tuple[str, ...]
) -> None:
    """Which of the exporters leads to queryUrl is not known; containerd's spans are demanded below
    the kubelet's."""
    more = [{"endpoint": f"other-{number}.example:4317", **way} for number, way in enumerate(ways)]
    settings: dict[str, Any] = {
        "traceStore": "none",
        "exporters": [*WAYS, *more],
        "collectorMemoryMiB": 1024,
    }
    asked = Tracing(parsed(**settings, queryUrl="http://jaeger.example"))
    assert (asked.demanded, asked.expected) == (demanded, expected)
    counted = Tracing(parsed(**settings))
    assert counted.demanded == ("apiserver", "kubelet", "containerd"), "they arrive all the same"


@pytest.mark.parametrize(
    ("way", "change", "certain"),
    [
        ({}, {}, True),
        ({"only": ["kubelet"]}, {}, True),
        ({"only": ["etcd"]}, {}, False),
        ({"samplingPerMillion": 99_999}, {}, False),
        ({"signals": ["metrics"]}, {}, False),
        ({"only": ["kubelet"]}, {"nodeSamplingPerMillion": 1}, False),
    ],
)
def test_a_destination_must_take_spans_if_it_gets_some_for_certain(
    way: dict[str, Any], change: dict[str, Any], certain: bool
) -> None:
    settings = parsed(exporters=[{"endpoint": "one.example:4317", **way}], **change)
    assert Tracing(settings).destinations == (("one-example",) if certain else ())


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
