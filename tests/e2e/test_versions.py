"""A pod's start is one trace of kubelet and containerd on every Kubernetes, whatever its image has.

`up` itself demands it; what its probe saw is read from the report it leaves.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lab.build.programs import KUBERNETES_VERSIONS, NEWEST_KUBERNETES
from tests.live import nodes
from tests.live.stack import Stack

VERSIONS = [
    pytest.param(version, marks=() if version == NEWEST_KUBERNETES else pytest.mark.every_version)
    for version in KUBERNETES_VERSIONS
]
ALL = {"apiserver", "kubelet", "containerd"}


def report(stack: Stack) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((stack.directory / "probe.json").read_text())
    return document


def told(capsys: pytest.CaptureFixture[str], stack: Stack) -> str:
    """The node's versions, told to whoever watches with what was traced."""
    (node,) = json.loads(stack.kubectl("get", "nodes", "-o", "json"))["items"]
    info = node["status"]["nodeInfo"]
    versions = f"{info['kubeletVersion']} {info['containerRuntimeVersion']}"
    seen = report(stack)
    with capsys.disabled():
        print(f"\n{versions}: {', '.join(seen['traced'])}; spans of a pod's start: {seen['spans']}")
    return versions


def components(spans: list[dict[str, Any]]) -> set[str]:
    """Those of the spans and of all below them."""
    return {each["component"] for each in spans}.union(
        *(components(each["children"]) for each in spans)
    )


def joined(seen: dict[str, Any]) -> set[str]:
    """Components with a span that descends from one of the kubelet's, or is one."""
    return components([each for each in seen["tree"] if each["component"] == "kubelet"])


@pytest.mark.parametrize("version", VERSIONS)
def test_the_start_of_a_pod_is_one_trace_on_kubernetes(
    unsettled: Stack, version: str, capsys: pytest.CaptureFixture[str]
) -> None:
    stack = unsettled
    stack.settle(**nodes.of_version(stack, version))
    assert told(capsys, stack).startswith(f"v{version}")
    seen = report(stack)
    assert seen["k3sVersion"] == f"v{version}-k3s1"
    assert set(seen["traced"]) == ALL
    assert "containerd" in joined(seen)


@pytest.mark.parametrize(
    ("argument", "refusal"),
    [
        (
            "tracing-config-file=/given/tracing.yaml",
            "strict decoding error: unknown field .*surplus",
        ),
        ("feature-gates=APIServerTracing=true", "unrecognized feature gate: APIServerTracing"),
    ],
    ids=["an unknown field", "a removed gate"],
)
def test_what_the_table_leaves_out_stops_the_newest_api_server(
    unsettled: Stack, tmp_path: Path, argument: str, refusal: str
) -> None:
    stack = unsettled
    stack.settle(**nodes.of_version(stack, NEWEST_KUBERNETES))
    written = (stack.directory / "node" / "apiserver-tracing.yaml").read_text()
    (tmp_path / "tracing.yaml").write_text(f"{written}surplus: 1\n")
    image = stack.docker.inspect(stack.server)["Config"]["Image"]
    options = ("--rm", "--privileged", "--env=K3S_TOKEN=none", f"--volume={tmp_path}:/given:ro")
    with pytest.raises(AssertionError, match=refusal):
        stack.docker("run", *options, image, "server", f"--kube-apiserver-arg={argument}")


def test_a_containerd_without_the_plugin_is_not_traced_and_up_says_so(
    unsettled: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    stack = unsettled
    stack.configure(containerdTracing="off", **nodes.with_a_silent_containerd(stack))
    said = stack.up().said
    assert "containerd will not be traced: containerdTracing is off" in said
    told(capsys, stack)
    assert set(report(stack)["traced"]) == ALL - {"containerd"}


def test_an_upstream_containerd_is_started_in_its_place_and_traced(
    unsettled: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    stack = unsettled
    upstream, release = nodes.upstream_containerd(stack)
    stack.settle(**nodes.with_a_silent_containerd(stack), **upstream)
    assert told(capsys, stack).endswith(f"containerd://{release}")
    seen = report(stack)
    assert set(seen["traced"]) == ALL
    assert "containerd" in joined(seen)
