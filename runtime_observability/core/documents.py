"""Every file and command line that a stack generates: pure functions from settings to text.

The templates in config_templates/ are whole, valid files; here values are set in them. No text is
pasted together.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from runtime_observability.core import compatibility, naming
from runtime_observability.core.naming import Names
from runtime_observability.core.settings import Settings
from runtime_observability.core.values import split_k3s_argument
from runtime_observability.core.versions import Version

_TEMPLATES = Path(__file__).resolve().parents[2] / "config_templates"
_MILLION = 1_000_000
_LINE = 80
_ENDPOINT = f"{naming.COLLECTOR_ALIAS}:4317"

APISERVER_FILE = "apiserver-tracing.yaml"
KUBELET_FILE = "kubelet-tracing.yaml"
CONTAINERD_FILE = "containerd-1.27.toml.tmpl"


def _template(name: str) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((_TEMPLATES / name).read_text())
    return document


class _Plain(yaml.SafeDumper):
    """Writes out what occurs twice: a person reads these files, and `&id001` says nothing."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def dump(document: dict[str, Any]) -> str:
    """YAML with the template's own order of keys."""
    text: str = yaml.dump(document, Dumper=_Plain, sort_keys=False)
    return text


def apiserver_tracing(version: Version, per_million: int) -> str:
    document = _template(APISERVER_FILE)
    document["apiVersion"] = compatibility.TRACING_CONFIGURATION.at(version)
    document["endpoint"] = _ENDPOINT
    document["samplingRatePerMillion"] = per_million
    return dump(document)


def kubelet_tracing(version: Version, per_million: int, *, cgroup_v1: bool) -> str:
    """``cgroup_v1``: whether the host has cgroup v1, which a kubelet from 1.35 on refuses."""
    document = _template(KUBELET_FILE)
    document["tracing"] = {"endpoint": _ENDPOINT, "samplingRatePerMillion": per_million}
    if cgroup_v1 and compatibility.FAIL_CGROUP_V1_IS_DEFAULT.at(version):
        document["failCgroupV1"] = False
    return dump(document)


def containerd_template(per_million: int) -> str:
    """A template for k3s, not a document: its values are set where they stand."""
    text = (_TEMPLATES / CONTAINERD_FILE).read_text()
    for stands, value in (
        ('endpoint = "otel-collector:4317"', f'endpoint = "{_ENDPOINT}"'),
        ("sampling_ratio = 1.0", f"sampling_ratio = {_ratio(per_million)}"),
    ):
        if stands not in text:
            raise LookupError(f"config_templates/{CONTAINERD_FILE} no longer has {stands}")
        text = text.replace(stands, value)
    return text


def node_files(settings: Settings, *, cgroup_v1: bool) -> dict[str, str]:
    """The node-side files by name; every node mounts their folder at ``naming.NODE_FOLDER``."""
    version, per_million = settings.k3s_version, settings.node_sampling_per_million
    files = {
        APISERVER_FILE: apiserver_tracing(version, settings.apiserver_sampling_per_million),
        KUBELET_FILE: kubelet_tracing(version, per_million, cgroup_v1=cgroup_v1),
    }
    if settings.containerd_plan.delivery == "template":
        files[CONTAINERD_FILE] = containerd_template(per_million)
    return files


def collector(version: Version, per_million: int, memory_mib: int) -> str:
    """The collector's configuration; ``memory_mib`` is its container's limit in MiB.

    The limiter's share leaves room for the process itself, as the memory_limiter's README advises.
    At full sampling the pipeline has no sampler: one in hash_seed mode drops spans whose
    tracestate was written by another (contrib processor/probabilisticsamplerprocessor).
    """
    document = _template("collector.yaml")
    limiter = document["processors"]["memory_limiter"]
    limiter["limit_mib"] = memory_mib * 4 // 5
    limiter["spike_limit_mib"] = memory_mib // 5
    pipeline = document["service"]["pipelines"]["traces"]
    if per_million < _MILLION:
        document["processors"]["probabilistic_sampler"] = {
            **compatibility.SAMPLER_OPTIONS.at(version),
            "sampling_percentage": per_million / 10_000,
        }
        pipeline["processors"].insert(1, "probabilistic_sampler")
    exporter = f"{compatibility.OTLP_EXPORTER.at(version)}/jaeger"
    (options,) = document["exporters"].values()
    options["endpoint"] = f"{naming.JAEGER_ALIAS}:4317"
    document["exporters"] = {exporter: options}
    pipeline["exporters"] = [exporter]
    if compatibility.COLLECTOR_METRICS.at(version) == "address":
        document["service"]["telemetry"]["metrics"] = {"address": "0.0.0.0:8888"}
    return dump(document)


def jaeger(max_traces: int) -> str:
    document = _template("jaeger.yaml")
    document["extensions"]["jaeger_storage"]["backends"]["memory"]["memory"] = {
        "max_traces": max_traces
    }
    return dump(document)


def jaeger_v1_environment(max_traces: int) -> dict[str, str]:
    """Configures Jaeger v1, all in one; what a release does not know it ignores.

    OTLP had to be enabled up to 1.45, and listened on localhost alone in 1.59.0 (jaeger#5737).
    Jaeger's own traces are switched off: they would be a service beside the cluster's. Up to 1.47
    they are jaeger-client-go's, which OpenTelemetry's variable does not reach.
    """
    return {
        "COLLECTOR_OTLP_ENABLED": "true",
        "COLLECTOR_OTLP_GRPC_HOST_PORT": "0.0.0.0:4317",
        "MEMORY_MAX_TRACES": str(max_traces),
        "JAEGER_DISABLED": "true",
        "OTEL_TRACES_SAMPLER": "always_off",
    }


def node_environment(settings: Settings) -> dict[str, str]:
    """Environment of every node: the exporters' queues, and containerd's tracing where it has any.

    k3s hands ``CONTAINERD_<NAME>`` to containerd alone, without the prefix (k3s commit cbacd7107).
    """
    if settings.containerd_plan.delivery != "environment":
        return dict(compatibility.NODE_EXPORTERS)
    return compatibility.NODE_EXPORTERS | {
        "CONTAINERD_OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{_ENDPOINT}",
        "CONTAINERD_OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
        "CONTAINERD_OTEL_SERVICE_NAME": "containerd",
        "CONTAINERD_OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
        "CONTAINERD_OTEL_TRACES_SAMPLER_ARG": str(_ratio(settings.node_sampling_per_million)),
    }


def _ratio(per_million: int) -> float:
    return per_million / _MILLION


def etcd_arguments(settings: Settings) -> list[str]:
    """k3s' arguments that have its embedded etcd traced as service ``etcd``."""
    if not settings.etcd_tracing:
        return []
    prefix = compatibility.ETCD_TRACING_PREFIX.at(settings.k3s_version)
    flags = {
        f"{prefix}enable-distributed-tracing": "true",
        f"{prefix}distributed-tracing-address": _ENDPOINT,
        f"{prefix}distributed-tracing-service-name": "etcd",
        f"{prefix}distributed-tracing-sampling-rate": str(settings.apiserver_sampling_per_million),
    }
    return [f"--etcd-arg={flag}={value}" for flag, value in flags.items()]


@dataclass(frozen=True)
class ClusterSpec:
    """All that decides what the cluster is; a change of any of it is another cluster."""

    config: dict[str, Any]
    """k3d's configuration, without the labels that only name the owner."""
    files: dict[str, str]
    """sha256 of every node-side file, by name."""
    tools_image: str
    """Of k3d's helper container, which is no part of the cluster."""
    settings: dict[str, Any] = field(compare=False)
    """The stack's settings that it came from, by key: they name a change to a person."""

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> ClusterSpec:
        """From a ``document``."""
        return cls(document["k3d"], document["files"], document["toolsImage"], document["settings"])

    @property
    def document(self) -> dict[str, Any]:
        return self._made | {"toolsImage": self.tools_image, "settings": self.settings}

    @property
    def digest(self) -> str:
        """16 hex digits that stand for the cluster; on every node as a Docker label."""
        canonical = json.dumps(self._made, sort_keys=True)
        return hashlib.sha256(canonical.encode()).hexdigest()[:16]

    @property
    def start_seconds(self) -> int:
        """How long k3d waits for the nodes."""
        return int(self.config["options"]["k3d"]["timeout"].removesuffix("s"))

    @property
    def image(self) -> str:
        """Of the nodes."""
        return str(self.config["image"])

    @property
    def _made(self) -> dict[str, Any]:
        return {"k3d": self.config, "files": self.files}


def cluster_spec(
    settings: Settings, names: Names, files: dict[str, str], image: str
) -> ClusterSpec:
    """The cluster of ``settings`` on nodes of ``image``."""
    config = _template("k3d.yaml")
    config["metadata"]["name"] = names.cluster
    config["servers"] = settings.servers
    config["agents"] = settings.agents
    config["image"] = image
    config["network"] = names.network
    config["kubeAPI"]["hostPort"] = str(settings.kube_api_port)
    config["volumes"] = _volumes(names, files, _everywhere(config))
    config["ports"] = [
        {"port": f"127.0.0.1:{port}", "nodeFilters": ["server:0:direct"]}
        for port in settings.published_ports
    ]
    config["env"] = _node_variables(settings, names, _everywhere(config))
    if registries := settings.registries.model_dump(mode="json", exclude_defaults=True):
        config["registries"] = registries
    # k3d starts the servers one after the other.
    config["options"]["k3d"]["timeout"] = f"{120 + 60 * (settings.servers + settings.agents)}s"
    config["options"]["k3s"]["extraArgs"] = _k3s_arguments(settings, _everywhere(config))
    digests = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in files.items()}
    return ClusterSpec(config, digests, settings.k3d_tools_image, settings.of_cluster)


def _everywhere(config: dict[str, Any]) -> list[str]:
    """k3d's filter for all nodes; it refuses a role that has none."""
    return ["server:*", "agent:*"] if config["agents"] else ["server:*"]


def _volumes(names: Names, files: dict[str, str], everywhere: list[str]) -> list[dict[str, Any]]:
    mounts = {names.node_directory: naming.NODE_FOLDER}
    if CONTAINERD_FILE in files:
        mounts[names.node_directory / CONTAINERD_FILE] = compatibility.CONTAINERD_TEMPLATE
    return [
        {"volume": f"{source}:{target}:ro", "nodeFilters": everywhere}
        for source, target in mounts.items()
    ]


def _node_variables(
    settings: Settings, names: Names, everywhere: list[str]
) -> list[dict[str, Any]]:
    """With each node's name as a resource attribute, which the kubelet alone sends by itself."""
    shared = node_environment(settings)
    own = {
        f"{role}:{index}": names.node(role, index)
        for role, count in (("server", settings.servers), ("agent", settings.agents))
        for index in range(count)
    }
    return [
        *(
            {"envVar": f"{name}={value}", "nodeFilters": everywhere}
            for name, value in shared.items()
        ),
        *(
            {"envVar": f"OTEL_RESOURCE_ATTRIBUTES=k8s.node.name={node}", "nodeFilters": [place]}
            for place, node in own.items()
        ),
    ]


def _k3s_arguments(settings: Settings, everywhere: list[str]) -> list[dict[str, Any]]:
    apiserver = f"--kube-apiserver-arg=tracing-config-file={_in_node(APISERVER_FILE)}"
    kubelet = f"--kubelet-arg=config={_in_node(KUBELET_FILE)}"
    return [
        {"arg": apiserver, "nodeFilters": ["server:*"]},
        {"arg": kubelet, "nodeFilters": everywhere},
        *({"arg": flag, "nodeFilters": ["server:*"]} for flag in etcd_arguments(settings)),
        *(
            {"arg": argument, "nodeFilters": filters}
            for argument, filters in map(split_k3s_argument, settings.k3s_args)
        ),
    ]


def _in_node(file: str) -> str:
    return f"{naming.NODE_FOLDER}/{file}"


def with_labels(config: dict[str, Any], labels: dict[str, str]) -> dict[str, Any]:
    """``config`` with Docker ``labels`` on all its nodes."""
    runtime = {
        "labels": [
            {"label": f"{name}={value}", "nodeFilters": _everywhere(config)}
            for name, value in labels.items()
        ]
    }
    return {**config, "options": {**config["options"], "runtime": runtime}}


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """How two specs' documents differ, for a person: ``agents: 0 → 1``, or else where they do."""
    asked, asks = before.get("settings", {}), after["settings"]
    changed = [key for key in asks if asked.get(key, asks[key]) != asks[key]]
    if changed:
        return [_change(key, asked[key], asks[key]) for key in changed]
    return differences({**before, "settings": asks}, after)


def _change(key: str, before: Any, after: Any) -> str:
    """With the values where they fit a line."""
    shown = f"{key}: {json.dumps(before)} → {json.dumps(after)}"
    return shown if len(shown) < _LINE else key


def differences(before: Any, after: Any, path: str = "") -> list[str]:
    """Paths at which two documents differ, for a person: ``k3d.agents``, ``files.…``."""
    if isinstance(before, dict) and isinstance(after, dict):
        keys = [*before, *(key for key in after if key not in before)]
        return [
            difference
            for key in keys
            for difference in differences(
                before.get(key), after.get(key), f"{path}.{key}" if path else key
            )
        ]
    return [] if before == after else [path]
