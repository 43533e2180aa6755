"""The version table: what is generated for which release. Data, not branches.

Boundaries carry the release and the source they were read in; everything else in the project asks
this table instead of comparing versions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from components.versions import Since, Timeline, Version

ContainerdTracing = Literal["auto", "image", "off"]

# --- k3s -----------------------------------------------------------------------------------------

OLDEST_K3S = Version.parse("1.27.5")
"""The oldest release whose nodes need no containerd template of their own to be traced."""

NEWEST_KNOWN_K3S = Version.parse("1.37.1")

TRACING_CONFIGURATION = Timeline(
    Since(
        "1.27.0",
        "apiserver.config.k8s.io/v1beta1",
        "kubernetes/apiserver v0.27.0 pkg/apis/apiserver/v1beta1/types.go",
    ),
    Since(
        "1.34.0",
        "apiserver.config.k8s.io/v1",
        "kubernetes/apiserver v0.34.0 pkg/apis/apiserver/v1/register.go",
    ),
)
"""apiVersion of the API server's tracing file. Decoding is strict from 1.32 on."""

STOCK_CONTAINERD_TRACES = Timeline(
    Since("1.27.1", True, "k3s builds containerd 1.6.19 apart, with its tracing plugin"),
    Since(
        "1.27.2",
        False,
        "k3s commit 607cbf0ad links containerd into its own binary, without tracing/plugin; "
        "seen on v1.34.3+k3s1: `ctr plugins ls` shows none",
    ),
)
"""Whether the containerd of the official k3s image has a tracing plugin at all."""

FAIL_CGROUP_V1_IS_DEFAULT = Timeline(
    Since("1.27.0", False, "kubernetes/kubelet v0.31.0 config/v1beta1/types.go"),
    Since("1.35.0", True, "kubernetes/kubelet v0.35.0 config/v1beta1/types.go; kubernetes#134298"),
)
"""Whether the kubelet refuses a cgroup v1 host unless ``failCgroupV1: false`` is set."""

SANDBOX_IMAGE = Timeline(
    Since(
        "1.27.0",
        "docker.io/rancher/mirrored-pause:3.6",
        "k3s --pause-image, unchanged from 1.27 to 1.37 (k3s pkg/cli/cmds/agent.go)",
    )
)
"""The image of every pod's sandbox: on each node before the first pod runs."""

NODE_EXPORTERS = {
    "OTEL_BSP_SCHEDULE_DELAY": "500",
    "OTEL_BSP_MAX_QUEUE_SIZE": "16384",
    "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "1024",
}
"""Batch span processor of API server, kubelet and containerd.

Delay in milliseconds: 0.7 to 1.1 s from a pod's creation to its readable trace, where the SDK's
default of 5000 took 1.7 to 6 s. Queue and batch in spans: the default queue of 2048 drops silently
when full, and 50 pods at once bring more than that within a delay.
Read by the SDK before its options (opentelemetry-go v1.40.0 sdk/trace/batch_span_processor.go).
"""


@dataclass(frozen=True)
class ContainerdPlan:
    """Whether a stack's containerd is traced, and the reason in words for whoever asks."""

    traced: bool
    reason: str


def containerd_plan(mode: ContainerdTracing, version: Version) -> ContainerdPlan:
    """What ``containerdTracing`` means for nodes of ``version``."""
    if mode == "off":
        return ContainerdPlan(False, "containerdTracing is off")
    if mode == "image":
        return ContainerdPlan(True, "containerdTracing says that the image's own containerd traces")
    if STOCK_CONTAINERD_TRACES.at(version):
        return ContainerdPlan(True, f"k3s {version} has containerd's tracing plugin")
    return ContainerdPlan(
        False, f"stock k3s {version} links containerd without its tracing plugin (since v1.27.2)"
    )


# --- OpenTelemetry Collector ---------------------------------------------------------------------

OLDEST_COLLECTOR = Version.parse("0.111.0")
"""The oldest whose own metrics are configured by ``readers``."""

OTLP_EXPORTER = Timeline(
    Since("0.54.0", "otlp", "opentelemetry-collector v0.54.0 exporter/otlpexporter"),
    Since("0.144.0", "otlp_grpc", "opentelemetry-collector CHANGELOG 0.144.0: `otlp` deprecated"),
)
"""Component type of the exporter that speaks OTLP over gRPC."""

# --- Jaeger --------------------------------------------------------------------------------------

OLDEST_JAEGER = Version.parse("2.8.0")
"""The oldest whose memory store refuses a search beyond ``max_traces`` instead of truncating it."""

# --- Default images ------------------------------------------------------------------------------


def k3s_image(version: Version) -> str:
    return f"docker.io/rancher/k3s:v{version.tag}"


def jaeger_image(version: Version) -> str:
    return f"docker.io/jaegertracing/jaeger:{version.numbers}"


def collector_image(version: Version) -> str:
    """The core distribution: it has every component that is used here."""
    return f"docker.io/otel/opentelemetry-collector:{version.numbers}"
