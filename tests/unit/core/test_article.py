"""Compares the article stack with the article's files: docs/article.md lists every difference.

The article's values come from kubeshop/tracetest, examples/tracetesting-kubernetes/: its files are
in kubetracing/, its k3d command is in setup-k8s-with-k3d.md.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from runtime_observability.core import documents
from runtime_observability.core.naming import Names
from tests.configuration import PROJECT, of_stack_file, parsed, spec_of
from tests.fakes import go_template
from tests.graph.program import Run, run
from tests.unit.core.test_containerd_template import CRI, K3S

_ENDPOINT = "host.k3d.internal:4317"
_OTLP, _TRACING = "io.containerd.tracing.processor.v1.otlp", "io.containerd.internal.v1.tracing"

ARTICLE: dict[str, Any] = {
    "apiserver-tracing.yaml": {
        "apiVersion": "apiserver.config.k8s.io/v1beta1",
        "kind": "TracingConfiguration",
        "endpoint": _ENDPOINT,
        "samplingRatePerMillion": 1_000_000,
    },
    "kubelet-tracing.yaml": {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "featureGates": {"KubeletTracing": True},
        "tracing": {"endpoint": _ENDPOINT, "samplingRatePerMillion": 1_000_000},
    },
    # as k3s renders it on a k3d node without registries
    "config.toml": {
        "version": 2,
        "plugins": {
            "io.containerd.internal.v1.opt": {"path": "/var/lib/rancher/k3s/agent/containerd"},
            CRI: {
                "stream_server_address": "127.0.0.1",
                "stream_server_port": "10010",
                "enable_selinux": False,
                "enable_unprivileged_ports": True,
                "enable_unprivileged_icmp": True,
                "sandbox_image": "rancher/mirrored-pause:3.6",
                "containerd": {
                    "snapshotter": "overlayfs",
                    "disable_snapshot_annotations": True,
                    "runtimes": {
                        "runc": {
                            "runtime_type": "io.containerd.runc.v2",
                            "options": {"SystemdCgroup": False},
                        }
                    },
                },
                "cni": {
                    "bin_dir": "/bin",
                    "conf_dir": "/var/lib/rancher/k3s/agent/etc/cni/net.d",
                },
            },
            _OTLP: {"endpoint": _ENDPOINT, "protocol": "grpc", "insecure": True},
            _TRACING: {"sampling_ratio": 1.0, "service_name": "containerd"},
        },
    },
    "otel-collector.yaml": {
        "receivers": {"otlp": {"protocols": {"grpc": None, "http": None}}},
        "processors": {
            "probabilistic_sampler": {"hash_seed": 22, "sampling_percentage": 100},
            "batch": {"timeout": "100ms"},
        },
        "exporters": {
            "logging": {"logLevel": "debug"},
            "otlp/jaeger": {"endpoint": "jaeger:4317", "tls": {"insecure": True}},
        },
        "service": {
            "pipelines": {
                "traces": {
                    "receivers": ["otlp"],
                    "processors": ["probabilistic_sampler", "batch"],
                    "exporters": ["otlp/jaeger", "logging"],
                }
            }
        },
    },
    "docker-compose.yaml": {
        "jaeger": {
            "image": "jaegertracing/all-in-one:latest",
            "environment": {"COLLECTOR_OTLP_ENABLED": "true"},
            "ports": ["16686:16686"],
            "restart": "unless-stopped",
            "healthcheck": "wget --spider localhost:16686",
        },
        "otel-collector": {
            "image": "otel/opentelemetry-collector:0.54.0",
            "command": ["--config", "/otel-local-config.yaml"],
            "ports": ["4317:4317"],
        },
    },
    "k3d cluster create": {
        "image": "rancher/k3s:v1.27.1-k3s1",
        "nodes": ["server:*"],
        "volumes": {
            "/var/lib/rancher/k3s/agent/etc/containerd/config.toml.tmpl": "the template",
            "/etc/kube-tracing": "both files",
        },
        "arguments": {
            "--kube-apiserver-arg=tracing-config-file": "/etc/kube-tracing/apiserver-tracing.yaml",
            "--kube-apiserver-arg=feature-gates": "APIServerTracing=true",
            "--kubelet-arg=config": "/etc/kube-tracing/kubelet-tracing.yaml",
        },
    },
}


def generated() -> dict[str, Any]:
    """The article stack's counterpart of each file in ``ARTICLE``."""
    settings = parsed(**of_stack_file("article"))
    files = documents.node_files(settings, cgroup_v1=False)
    template = files[documents.CONTAINERD_FILE]
    graph = run(of_stack_file("article"), stack="article")
    (config,) = graph["collector-container"].inputs["uploads"]
    # Of this folder: another one has another.
    digest = Names("article", PROJECT).owner
    return {
        "apiserver-tracing.yaml": yaml.safe_load(files[documents.APISERVER_FILE]),
        "kubelet-tracing.yaml": yaml.safe_load(files[documents.KUBELET_FILE]),
        "config.toml": tomllib.loads(go_template.render(template, K3S)),
        "otel-collector.yaml": yaml.safe_load(config["content"].replace(digest, "DIGEST")),
        "docker-compose.yaml": {
            "jaeger": container(graph, "jaeger"),
            "otel-collector": container(graph, "collector"),
        },
        "k3d cluster create": cluster(),
    }


def container(graph: Run, name: str) -> dict[str, Any]:
    inputs = graph[f"{name}-container"].inputs
    values = {
        "image": graph[f"{name}-image"].inputs["name"],
        "command": inputs.get("command"),
        "environment": dict(variable.split("=", 1) for variable in inputs["envs"]),
        "ports": [
            f"{port['ip']}:{port['external']:.0f}:{port['internal']:.0f}"
            for port in inputs["ports"]
        ],
        "restart": inputs["restart"],
    }
    return {key: value for key, value in values.items() if value}


def cluster() -> dict[str, Any]:
    names = Names("article", PROJECT)
    config = spec_of(names, parsed(**of_stack_file("article"), agents=1)).config
    contents = {
        str(names.node_directory): "both files",
        str(names.node_directory / documents.CONTAINERD_FILE): "the template",
    }
    volumes = [entry["volume"].split(":") for entry in config["volumes"]]
    arguments = config["options"]["k3s"]["extraArgs"]
    (nodes,) = {tuple(entry["nodeFilters"]) for entry in config["volumes"]}
    return {
        "image": config["image"],
        "nodes": list(nodes),
        "volumes": {target: contents[source] for source, target, _ in volumes},
        "arguments": dict(entry["arg"].rsplit("=", 1) for entry in arguments),
        "environment": dict(
            entry["envVar"].split("=", 1)
            for entry in config["env"]
            if entry["nodeFilters"] != ["agent:0"]
        ),
        "network": config["network"],
    }


def differences(article: Any, here: Any, path: str = "") -> Iterator[tuple[str, str, str]]:
    """Key, the article's value and this stack's; a part that only one of them has is one entry."""
    if isinstance(article, dict) and isinstance(here, dict):
        for key in [*article, *(key for key in here if key not in article)]:
            inner = f"{path}.{key}" if path else key
            yield from differences(article.get(key, ...), here.get(key, ...), inner)
    elif article != here:
        yield path, formatted(article), formatted(here)


def formatted(value: Any) -> str:
    """``value`` as docs/article.md writes it; ``...`` is a missing key."""
    if value is ...:
        return "(absent)"
    text: str = yaml.safe_dump(value, default_flow_style=True, width=10_000, sort_keys=False)
    return f"`{text.removesuffix('...' + chr(10)).strip()}`"


def documented(file: str) -> list[tuple[str, str, str]]:
    """The rows below the file's heading in docs/article.md, without the column of reasons."""
    chapters = (PROJECT / "docs" / "article.md").read_text().split("\n## ")
    (chapter,) = (text for text in chapters if text.startswith(f"`{file}`\n"))
    rows = [line.strip("| ").split(" | ") for line in chapter.splitlines() if line[:3] == "| `"]
    assert all(len(row) == 4 and row[3] for row in rows)
    return [(key.strip("`"), article, here) for key, article, here, _ in rows]


@pytest.fixture(scope="module")
def ours() -> dict[str, Any]:
    return generated()


@pytest.mark.parametrize("file", ARTICLE)
def test_every_difference_is_explained_and_no_other(file: str, ours: dict[str, Any]) -> None:
    assert documented(file) == list(differences(ARTICLE[file], ours[file]))


def test_the_result_is_the_articles(ours: dict[str, Any]) -> None:
    """Everything is sampled in full, keeps its name, and goes through one collector to Jaeger."""
    alias = "otel-collector:4317"
    tracing = ours["kubelet-tracing.yaml"]["tracing"]
    assert tracing == {"endpoint": alias, "samplingRatePerMillion": 1_000_000}
    assert ours["apiserver-tracing.yaml"]["endpoint"] == alias
    plugins = ours["config.toml"]["plugins"]
    assert plugins[_OTLP] == {"endpoint": alias, "protocol": "grpc", "insecure": True}
    assert plugins[_TRACING] == {"sampling_ratio": 1.0, "service_name": "containerd"}
    (exporter,) = ours["otel-collector.yaml"]["exporters"].values()
    assert exporter["endpoint"] == "http://jaeger:4318"
