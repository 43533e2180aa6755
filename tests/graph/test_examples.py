"""The examples' programs on mocks: what they make in the cluster waits for it and goes into it.

`make test-examples` runs them with the real Kubernetes provider.
"""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import pytest

from tests.configuration import PROJECT
from tests.graph.program import Run, run_program

EXAMPLES = PROJECT / "examples"


def example(name: str, config: dict[str, Any], **options: Any) -> Run:
    values = {f"{name}:{key}": value for key, value in config.items()}
    return run_program(
        lambda: runpy.run_path(str(EXAMPLES / name / "__main__.py"), run_name="__main__"),
        {
            key: value if isinstance(value, str) else json.dumps(value)
            for key, value in values.items()
        },
        project=name,
        **options,
    )


def test_a_chart_goes_into_the_traced_cluster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made = example("own-chart", {"environment": {"agents": 1, "port_offset": 100}})
    assert made.error is None
    provider = made["cluster"]
    assert provider.inputs["kubeconfig"] == f"{tmp_path}/.stacks/dev/kubeconfig"
    assert provider.inputs["clusterIdentifier"] == "container-id-of-server-0"
    assert {"cluster-ensure", "stack-sweep"} <= made.before("cluster")
    (chart,) = made.of_type("kubernetes:helm.sh/v4:Chart")
    assert provider.urn in chart.provider
    assert (EXAMPLES / "own-chart" / chart.inputs["chart"] / "Chart.yaml").is_file()
    assert made.exports["jaegerUrl"] == "http://127.0.0.1:16786"


def test_an_operator_goes_into_the_cluster_of_another_stack() -> None:
    other: dict[str, Any] = {
        "kubeconfig": "/home/ada/.stacks/dev/kubeconfig",
        "otlpEndpointInCluster": "http://otel-collector:4317",
        "links": {"podStarts": "http://127.0.0.1:16686/search?service=kubelet"},
    }
    stack = "organization/runtime-observability/dev"
    made = example("stack-reference", {"platform": stack}, other_stack=other)
    assert made.error is None
    assert made["cluster"].inputs["kubeconfig"] == other["kubeconfig"]
    deployment = made["operator"]
    assert made["cluster"].urn in deployment.provider
    (container,) = deployment.inputs["spec"]["template"]["spec"]["containers"]
    assert container["env"] == [
        {"name": "OTEL_EXPORTER_OTLP_ENDPOINT", "value": other["otlpEndpointInCluster"]}
    ]
    assert made.exports["podStarts"] == other["links"]["podStarts"]
