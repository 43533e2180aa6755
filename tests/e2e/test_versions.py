"""On every Kubernetes release a pod's start is one trace with spans of the kubelet and containerd.

`up` itself requires this; the tests read the report that its trace probe writes.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lab.build.programs import KUBERNETES_VERSIONS, NEWEST_KUBERNETES
from tests.configuration import defaults
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


def node_versions(capsys: pytest.CaptureFixture[str], stack: Stack) -> str:
    """The node's kubelet and containerd release; prints them with what was traced."""
    (node,) = json.loads(stack.kubectl("get", "nodes", "-o", "json"))["items"]
    info = node["status"]["nodeInfo"]
    versions = f"{info['kubeletVersion']} {info['containerRuntimeVersion']}"
    probe = report(stack)
    traced = ", ".join(probe["traced"])
    with capsys.disabled():
        print(f"\n{versions}: {traced}; spans of a pod's start: {probe['spans']}")
    return versions


def components(spans: list[dict[str, Any]]) -> set[str]:
    """The components of ``spans`` and their descendants."""
    return {span["component"] for span in spans}.union(
        *(components(span["children"]) for span in spans)
    )


def joined(probe: dict[str, Any]) -> set[str]:
    """The components of the kubelet's root spans and their descendants."""
    return components([span for span in probe["tree"] if span["component"] == "kubelet"])


def test_another_release_is_announced_and_seen_to_start(stack: Stack) -> None:
    before, wanted = defaults()["k3sVersion"], nodes.of_version(stack, NEWEST_KUBERNETES)
    stack.configure(**wanted)
    told = f'k3sVersion: "{before}" → "{wanted["k3sVersion"]}"'
    assert f"will be replaced, and its workloads go with it: {told}" in stack.plan().diagnostics
    assert "the new configuration starts, so it is replaced now" in stack.up().said


@pytest.mark.parametrize("version", VERSIONS)
def test_the_start_of_a_pod_is_one_trace_on_kubernetes(
    unsettled: Stack, version: str, capsys: pytest.CaptureFixture[str]
) -> None:
    stack = unsettled
    stack.settle(**nodes.of_version(stack, version))
    assert node_versions(capsys, stack).startswith(f"v{version}")
    probe = report(stack)
    assert probe["k3sVersion"] == f"v{version}-k3s1"
    assert set(probe["traced"]) == ALL
    assert "containerd" in joined(probe)


@pytest.mark.parametrize(
    ("argument", "refusal"),
    [
        (
            "tracing-config-file=/mounted/tracing.yaml",
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
    options = ("--rm", "--privileged", "--env=K3S_TOKEN=none", f"--volume={tmp_path}:/mounted:ro")
    with pytest.raises(AssertionError, match=refusal):
        stack.docker("run", *options, image, "server", f"--kube-apiserver-arg={argument}")


def test_a_containerd_without_the_plugin_is_not_traced_and_up_says_so(
    unsettled: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    stack = unsettled
    stack.configure(containerdTracing="off", **nodes.with_a_silent_containerd(stack))
    output = stack.up().said
    assert "containerd will not be traced: containerdTracing is off" in output
    node_versions(capsys, stack)
    assert set(report(stack)["traced"]) == ALL - {"containerd"}


def test_an_upstream_containerd_is_started_in_its_place_and_traced(
    unsettled: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    stack, silent = unsettled, nodes.with_a_silent_containerd(unsettled)
    stack.settle(containerdTracing="off", **silent)
    upstream, release = nodes.upstream_containerd(stack)
    stack.configure(**silent, **upstream)
    told = stack.plan().diagnostics
    changed = 'containerdTracing: "off" → "upstream"'
    assert f"will be replaced, and its workloads go with it: {changed}" in told
    assert all(key in told for key in upstream), "the value too, where it is short"
    assert "the new configuration starts, so it is replaced now" in stack.up().said
    assert node_versions(capsys, stack).endswith(f"containerd://{release}")
    probe = report(stack)
    assert set(probe["traced"]) == ALL
    assert "containerd" in joined(probe)
