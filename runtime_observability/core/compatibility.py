"""The version table: what differs between releases of k3s, containerd, the collector and Jaeger.

Each row names its first release and the source that shows it. The rest of the project looks values
up here and does not compare versions itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from runtime_observability.core.versions import Since, Timeline, Version

ContainerdTracing = Literal["auto", "image", "upstream", "off"]

# --- k3s -----------------------------------------------------------------------------------------

OLDEST_K3S = Version.parse("1.27.1")
"""The article's release, and the first that enables the tracing feature gates by default."""

NEWEST_KNOWN_K3S = Version.parse("1.37.1")
"""The newest release whose sources were read. Later releases get the same files and a warning."""

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
"""The apiVersion of the API server's tracing file. Unknown fields are errors from 1.32 on."""

FAIL_CGROUP_V1_IS_DEFAULT = Timeline(
    Since("1.27.0", False, "kubernetes/kubelet v0.31.0 config/v1beta1/types.go"),
    Since("1.35.0", True, "kubernetes/kubelet v0.35.0 config/v1beta1/types.go; kubernetes#134298"),
)
"""Whether the kubelet refuses a cgroup v1 host unless ``failCgroupV1: false`` is set."""

REQUEST_SPAN = Timeline(
    Since(
        "1.27.0", "KubernetesAPI", "kubernetes/apiserver v0.27.1 pkg/endpoints/filters/traces.go"
    ),
    Since(
        "1.31.0",
        "",
        "kubernetes/apiserver v0.31.0 pkg/endpoints/filters/traces.go: named by method and route",
    ),
)
"""Operation of a request's root span in the API server; empty where it depends on the route."""

RUNTIME_CALLS_JOIN_POD = Timeline(
    Since("1.27.0", True, "the article's screenshots of 1.27.1 show them below syncPod"),
    Since("1.28.0", False, "kubernetes#121192: each call to the runtime starts a new trace"),
    Since("1.30.0", True, "kubernetes#122087, merged for 1.30; no backport was found"),
)
"""Whether the kubelet's calls to containerd are part of the pod's ``syncPod`` trace."""

_PAUSE_3_6 = "docker.io/rancher/mirrored-pause:3.6"
_PAUSE_3_10 = "docker.io/rancher/mirrored-pause:3.10.2"
_PAUSE_FLAG = "k3s --pause-image (k3s pkg/cli/cmds/agent.go)"

SANDBOX_IMAGE = Timeline(
    Since("1.27.0", _PAUSE_3_6, f"{_PAUSE_FLAG}, unchanged until July 2026"),
    Since("1.34.10", _PAUSE_3_10, f"{_PAUSE_FLAG}, k3s#14391 after 1.34.9"),
    Since("1.35.0", _PAUSE_3_6, _PAUSE_FLAG),
    Since("1.35.7", _PAUSE_3_10, f"{_PAUSE_FLAG}, k3s#14390 after 1.35.6"),
    Since("1.36.0", _PAUSE_3_6, _PAUSE_FLAG),
    Since("1.36.3", _PAUSE_3_10, f"{_PAUSE_FLAG}, k3s#14389 after 1.36.2"),
)
"""The image of every pod's sandbox, which each node has before its first pod runs."""

ETCD_TRACING_PREFIX = Timeline(
    Since("1.31.0", "experimental-", "etcd 3.5 CHANGELOG: --experimental-distributed-tracing-*"),
    Since("1.34.0", "", "etcd 3.6, part of k3s from 1.34 on: --distributed-tracing-*"),
)
"""Prefix of etcd's tracing flags. Earlier etcd 3.5 releases have no flag for the sampling rate."""

FORBIDDEN_GATES: Mapping[str, str] = {
    "APIServerTracing": "enabled by default since 1.27, and removed in 1.37, which rejects it",
    "KubeletTracing": "enabled by default since 1.27, and removed in 1.38 (kubernetes#141714)",
}
"""Feature gates that are never passed to k3s, with the reason."""

NODE_EXPORTERS = {
    "OTEL_BSP_SCHEDULE_DELAY": "500",
    "OTEL_BSP_MAX_QUEUE_SIZE": "16384",
    "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "1024",
}
"""Settings of the batch span processor in API server, kubelet and containerd.

The delay is in milliseconds. With 500 a pod's trace is readable 0.7 to 1.1 s after the pod's
creation; with the SDK's default of 5000 it took 1.7 to 6 s. Queue and batch sizes are in spans: a
full queue drops spans silently, and 50 simultaneous pods overflow the default of 2048 within one
delay. The SDK reads these variables before its options (opentelemetry-go v1.40.0
sdk/trace/batch_span_processor.go).
"""

# --- containerd ----------------------------------------------------------------------------------

Delivery = Literal["template", "environment"]

STOCK_CONTAINERD_TRACES = Timeline(
    Since("1.27.1", True, "k3s builds containerd 1.6.19 separately, with its tracing plugin"),
    Since(
        "1.27.2",
        False,
        "k3s commit 607cbf0ad links containerd into its own binary, without tracing/plugin; "
        "seen on v1.34.3+k3s1: `ctr plugins ls` shows none",
    ),
)
"""Whether the containerd of the official k3s image has the tracing plugin."""

CONTAINERD_SETTINGS: Timeline[Delivery] = Timeline(
    Since("1.27.1", "template", "containerd v1.6.19 tracing/plugin/otlp.go reads only TOML"),
    Since("1.27.2", "environment", "containerd v1.7.16 tracing/plugin/otlp.go, and 2.0 on"),
)
"""How an image's own containerd gets its exporter settings.

From 1.27.2 on only images built by users have a containerd that traces.
"""

CONTAINERD_TEMPLATE = "/var/lib/rancher/k3s/agent/etc/containerd/config.toml.tmpl"
"""Where k3s 1.27 reads a template for containerd's whole configuration (k3s docs/advanced.md).

k3s 1.27 has no base template that another could extend.
"""


@dataclass(frozen=True)
class ContainerdRelease:
    """An official static build of containerd (Apache-2.0).

    ``sha256`` maps an architecture, as Docker names it, to the checksum of the archive.
    """

    version: str
    sha256: Mapping[str, str]

    def url(self, architecture: str) -> str:
        return (
            f"https://github.com/containerd/containerd/releases/download/v{self.version}/"
            f"containerd-static-{self.version}-linux-{architecture}.tar.gz"
        )


_CONTAINERD_1_7 = ContainerdRelease(
    "1.7.29",
    {
        "amd64": "ba4a2e919d2882dba707d8c9c436ed3496e3bb99f5cfb13a31b29b497cf7ec2e",
        "arm64": "d428ad3fb7036c07c141f6666de575d8c7fd862e658a28da5ae20b737fdf7d75",
    },
)
_CONTAINERD_2 = ContainerdRelease(
    "2.3.4",
    {
        "amd64": "1d0eccd52471ab75e8d4645b538f73dc635f905cd2be776366eb1036a0089595",
        "arm64": "ad21f456a69bca9c183a8bde892a7576d5d09ae88b3e376a47bde4a886037ab3",
    },
)
_CHECKSUMS = "checksums of the static builds from kubespray 46dbdd399, August 2026"

UPSTREAM_CONTAINERD = Timeline(
    Since("1.27.1", _CONTAINERD_1_7, f"k3s bundles 1.6 or 1.7 up to v1.31.5; {_CHECKSUMS}"),
    Since("1.31.6", _CONTAINERD_2, f"k3s bundles 2.0 from v1.31.6 on; {_CHECKSUMS}"),
    Since("1.32.0", _CONTAINERD_1_7, f"k3s v1.32.0 and v1.32.1 bundle 1.7.23; {_CHECKSUMS}"),
    Since("1.32.2", _CONTAINERD_2, f"k3s bundles 2.0 from v1.32.2 on; {_CHECKSUMS}"),
)
"""The upstream containerd that reads the configuration k3s writes for its bundled release."""


@dataclass(frozen=True)
class ContainerdPlan:
    """Whether and how a stack's containerd is traced, and why.

    ``delivery`` is how containerd gets its exporter settings, None where it is not traced;
    ``upstream`` is the release to install, None where the image's own containerd is kept.
    """

    traced: bool
    reason: str
    delivery: Delivery | None = None
    upstream: ContainerdRelease | None = None


def containerd_plan(mode: ContainerdTracing, version: Version, binary: str = "") -> ContainerdPlan:
    """The plan for ``mode``, the setting containerdTracing, on nodes of k3s ``version``.

    ``binary`` is the path of a local containerd to install instead of the release; empty for none.
    """
    match mode:
        case "off":
            return ContainerdPlan(False, "containerdTracing is off")
        case "image":
            reason = "containerdTracing is image, so the image's own containerd exports traces"
            return ContainerdPlan(True, reason, CONTAINERD_SETTINGS.at(version))
        case "auto" if STOCK_CONTAINERD_TRACES.at(version):
            reason = f"the containerd of k3s {version} has the tracing plugin"
            return ContainerdPlan(True, reason, CONTAINERD_SETTINGS.at(version))
        case _:
            release = UPSTREAM_CONTAINERD.at(version)
            official = f"upstream containerd {release.version}"
            replacement = f"the containerd at {binary}" if binary else official
            reason = f"{replacement} replaces the one of k3s {version}"
            if not STOCK_CONTAINERD_TRACES.at(version):
                reason += ", which has no tracing plugin"
            return ContainerdPlan(True, reason, "environment", release)


# --- OpenTelemetry Collector ---------------------------------------------------------------------

OLDEST_COLLECTOR = Version.parse("0.54.0")
"""The article's release."""

NEWEST_KNOWN_COLLECTOR = Version.parse("0.159.0")

UNPUBLISHED_COLLECTORS: Mapping[str, str] = {
    "0.129.0": "0.129.1",
    "0.134.0": "0.134.1",
    "0.150.0": "0.150.1",
}
"""Releases without a core image, because publishing it failed, and the next release with one."""

OLDEST_TAIL_SAMPLING = Version.parse("0.154.0")
"""The first release of contrib that was checked to have what the presets of `tracing` use.

In processor/tailsamplingprocessor: sampling_strategy (config.go; 0.150.0 has it, 0.148.0 has not),
and paths with their context's name (internal/sampling/ottl.go; 0.152.0 has them not).
"""

OLDEST_DISK_QUEUES = Version.parse("0.135.0")
"""The first release of contrib that was checked to have what queues on disk use.

In extension/storage/filestorage: fsync, compaction.on_rebound, compaction.cleanup_on_start
(config.go). Queues that count in bytes can be in files since 0.130.0 (opentelemetry-collector
CHANGELOG). The core distribution has no file_storage (opentelemetry-collector-releases v0.90.0 to
v0.159.0, distributions/otelcol/manifest.yaml).
"""

UNPUBLISHED_CONTRIB: Mapping[str, str] = {"0.162.0": "0.159.0"}
"""Releases of contrib without an image for every architecture, and a release with one."""

CORE_DISTRIBUTIONS = re.compile(
    r"(?:^|/)(?:otel|opentelemetry-collector-releases)/opentelemetry-collector(?:-otlp)?[:@]"
)
"""Official images that lack the components of contrib."""

OTLP_EXPORTER = Timeline(
    Since("0.54.0", "otlp", "opentelemetry-collector v0.54.0 exporter/otlpexporter"),
    Since("0.144.0", "otlp_grpc", "opentelemetry-collector CHANGELOG 0.144.0: `otlp` deprecated"),
)
"""Component type of the exporter for OTLP over gRPC."""

OTLP_HTTP_EXPORTER = Timeline(
    Since("0.54.0", "otlphttp", "opentelemetry-collector v0.80.0 exporter/otlphttpexporter"),
    Since("0.144.0", "otlp_http", "opentelemetry-collector CHANGELOG 0.144.0: `otlphttp` renamed"),
)
"""Component type of the exporter for OTLP over HTTP."""

OLDEST_WITH_EXPORTERS = Version.parse("0.132.0")
"""The first release whose queues are bounded as ``destinations`` needs it. Its core image has the
filter processor (contrib v0.119.0 processor/filterprocessor/metadata.yaml)."""

TAKES_EVERYTHING = Timeline(
    Since("0.54.0", False, "exporter v0.124.0 exporterhelper/internal/queuebatch/config.go"),
    Since(
        "0.132.0",
        True,
        "exporter v0.132.0 exporterhelper/internal/queuebatch/config.go splits batches by bytes, "
        "whatever its queue counts in; exporter/nopexporter v0.124.0 metadata.yaml: in core",
    ),
)
"""Whether every signal is accepted, and messages larger than what is sent on."""

COLLECTOR_METRICS: Timeline[Literal["address", "readers"]] = Timeline(
    Since("0.54.0", "address", "opentelemetry-collector v0.54.0 config/telemetry.go"),
    Since("0.111.0", "readers", "opentelemetry-collector CHANGELOG 0.111.0: address deprecated"),
)
"""The key below ``service.telemetry.metrics`` that sets where the collector serves its metrics."""

SAMPLER_OPTIONS: Timeline[Mapping[str, str]] = Timeline(
    Since("0.54.0", {}, "contrib v0.54.0 processor/probabilisticsamplerprocessor/config.go"),
    Since(
        "0.111.0",
        {"mode": "proportional"},
        "contrib#31894, merged in June 2024: in every release from 0.111.0 (October 2024) on",
    ),
)
"""Options of the probabilistic sampler besides its percentage.

In proportional mode the sampler forwards spans with a tracestate from another sampler; in the
default mode it drops them.
"""

# --- Jaeger --------------------------------------------------------------------------------------

OLDEST_JAEGER = Version.parse("1.35.0")
"""The first release that receives OTLP (Jaeger CHANGELOG 1.35.0)."""

LAST_JAEGER_V1 = Version.parse("1.76.0")
"""The last v1 release, of December 2025 (Jaeger CHANGELOG 2.14.0: v1 removed)."""

OLDEST_JAEGER_V2 = Version.parse("2.0.0")

NEWEST_KNOWN_JAEGER = Version.parse("2.20.0")

JaegerGeneration = Literal["v1", "v2"]

JAEGER_GENERATION: Timeline[JaegerGeneration] = Timeline(
    Since("1.35.0", "v1", "jaeger v1.35.0 cmd/all-in-one: flags, as environment variables"),
    Since("2.0.0", "v2", "jaeger v2.0.0 cmd/jaeger: a collector, configured by a file"),
)
"""Which of the two programs named Jaeger a release is: they are configured differently."""

OLDEST_JAEGER_OF_STORE: Mapping[str, tuple[Version, str]] = {
    "opensearch": (Version.parse("2.7.0"), "it takes 0 replicas for 1"),
    "elasticsearch": (Version.parse("2.7.0"), "it takes 0 replicas for 1"),
    "cassandra": (Version.parse("2.1.0"), "it does not create its schema"),
}
"""The first release of Jaeger that fits a cluster of that store, and what is wrong before it.

In internal/storage/elasticsearch/config/config.go ``replicas`` is a pointer from 2.7.0 on; 2.0.0
has the other options used here (pkg/es/config/config.go: ``auth.basic.password_file``, ``tls``).
``schema.create`` of Cassandra came with 2.1.0 (pkg/cassandra/config/config.go; jaeger#5922).
"""

OLDEST_JAEGER_WITH_QUEUE = Version.parse("2.13.0")
"""The first release whose jaeger_storage_exporter is known to take ``queue`` as it is written here.

2.13.0 ran with it, and newer collectors still read it (v0.159.0 config/configoptional, which takes
``enabled``). The names in it are newer than Jaeger's first releases with Cassandra."""

JAEGER_KNOWS_ENGINE: Mapping[str, Mapping[int, Version]] = {
    "opensearch": {
        1: Version.parse("2.7.0"),
        2: Version.parse("2.7.0"),
        3: Version.parse("2.9.0"),
    },
    "elasticsearch": {
        7: Version.parse("2.7.0"),
        8: Version.parse("2.7.0"),
        9: Version.parse("2.9.0"),
    },
}
"""By store and major version: the first release of Jaeger that has its mappings.

internal/storage/elasticsearch/config/config.go detects OpenSearch 3 from 2.9.0 on; Elasticsearch 9
uses the mappings of 8 from 2.9.0 on (internal/storage/v1/elasticsearch/mappings/mapping.go). Others
were not read.
"""

# --- OpenSearch ----------------------------------------------------------------------------------

OLDEST_OPENSEARCH = Version.parse("2.19.0")
"""The first of the minor that was run as a node beside Jaeger (2.19.6)."""

NEWEST_KNOWN_OPENSEARCH = Version.parse("2.19.6")

# --- Default images ------------------------------------------------------------------------------


def k3s_image(version: Version) -> str:
    return f"docker.io/rancher/k3s:v{version.tag}"


def jaeger_image(version: Version) -> str:
    names = {"v1": "all-in-one", "v2": "jaeger"}
    name = names[JAEGER_GENERATION.at(version)]
    return f"docker.io/jaegertracing/{name}:{version.numbers}"


def collector_image(version: Version) -> str:
    """The core distribution, which has every component that this project uses."""
    return f"docker.io/otel/opentelemetry-collector:{version.numbers}"


def contrib_collector_image(version: Version) -> str:
    """The contrib distribution, which has every component."""
    return f"docker.io/otel/opentelemetry-collector-contrib:{version.numbers}"


def open_search_image(version: Version) -> str:
    return f"docker.io/opensearchproject/opensearch:{version.numbers}"


K3D_TOOLS_IMAGE = "ghcr.io/k3d-io/k3d-tools:5.9.0"
"""Named only for a mirror: k3d's own default has k3d's version (k3d v5.9.0 pkg/types/images.go).
Any k3d works with it: it sleeps, and runs a few shell commands (pkg/client/tools.go)."""


CURL_IMAGE = "docker.io/curlimages/curl:8.16.0"
"""Asks a search engine from where Jaeger runs. Any release from 7.75.0 on works: that one added
``%{exitcode}`` and ``%{errormsg}`` of write-out (curl docs/cmdline-opts/write-out.md)."""


def mirrored(image: str, registry: str) -> str:
    """An official image in the mirror ``registry``, which has it below its name without the host.

    Without a mirror it is the image itself.
    """
    return f"{registry}/{image.partition('/')[2]}" if registry else image


# --- Tools ---------------------------------------------------------------------------------------

OLDEST_DOCKER = Version.parse("20.10.5")
"""k3d does not work with 20.10.4 and older (k3d docs/faq/compatibility.md)."""

OLDEST_K3D = Version.parse("5.7.0")
"""Joins external networks and takes this configuration version (k3d docs, v1alpha5)."""

OLDEST_PULUMI = Version.parse("3.238.0")
"""The oldest that is supported; the resource hooks used here came with 3.182.0 (its CHANGELOG)."""
