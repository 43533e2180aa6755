"""Every file that a stack generates: pure functions from settings to text.

The templates in config_templates/ are complete, valid files; here values are set in them. No text
is pasted together. k3d's configuration is ``cluster_spec``'s.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from runtime_observability.core import (
    arrivals,
    compatibility,
    destinations,
    naming,
    stores,
    trace_store,
)
from runtime_observability.core.origin import Origin
from runtime_observability.core.presets import EVERYTHING, Choice
from runtime_observability.core.versions import Version

if TYPE_CHECKING:  # its library takes longer to load than everything else here
    from runtime_observability.core.naming import Names
    from runtime_observability.core.settings.exporter import Exporter
    from runtime_observability.core.settings.model import Settings

_IN_WHEEL, _IN_CHECKOUT = (
    folder / "config_templates" for folder in Path(__file__).resolve().parents[1:3]
)
_TEMPLATES = _IN_WHEEL if _IN_WHEEL.is_dir() else _IN_CHECKOUT
_MILLION = 1_000_000
ENDPOINT = f"{naming.COLLECTOR_ALIAS}:4317"
"""The collector's OTLP gRPC receiver on the stack's network."""

APISERVER_FILE = "apiserver-tracing.yaml"
KUBELET_FILE = "kubelet-tracing.yaml"
CONTAINERD_FILE = "containerd-1.27.toml.tmpl"


def template(name: str) -> dict[str, Any]:
    """A template's document, to set values in."""
    document: dict[str, Any] = yaml.safe_load((_TEMPLATES / name).read_text(encoding="utf-8"))
    return document


class _WithoutAliases(yaml.SafeDumper):
    """Writes a value that occurs twice in full: a person reads these files, not `&id001`."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def dump(document: dict[str, Any]) -> str:
    """YAML in the template's order of keys."""
    text: str = yaml.dump(document, Dumper=_WithoutAliases, sort_keys=False)
    return text


def apiserver_tracing(version: Version, per_million: int) -> str:
    document = template(APISERVER_FILE)
    document["apiVersion"] = compatibility.TRACING_CONFIGURATION.at(version)
    document["endpoint"] = ENDPOINT
    document["samplingRatePerMillion"] = per_million
    return dump(document)


def kubelet_tracing(version: Version, per_million: int, *, cgroup_v1: bool) -> str:
    """``cgroup_v1``: whether the host has cgroup v1, which the kubelet refuses from 1.35 on."""
    document = template(KUBELET_FILE)
    document["tracing"] = {"endpoint": ENDPOINT, "samplingRatePerMillion": per_million}
    if cgroup_v1 and compatibility.FAIL_CGROUP_V1_IS_DEFAULT.at(version):
        document["failCgroupV1"] = False
    return dump(document)


def containerd_template(per_million: int) -> str:
    """A Go template that k3s fills in, not a YAML document: its values are replaced as text."""
    text = (_TEMPLATES / CONTAINERD_FILE).read_text(encoding="utf-8")
    for placeholder, value in (
        ('endpoint = "otel-collector:4317"', f'endpoint = "{ENDPOINT}"'),
        ("sampling_ratio = 1.0", f"sampling_ratio = {ratio(per_million)}"),
    ):
        if placeholder not in text:
            raise LookupError(f"config_templates/{CONTAINERD_FILE} does not contain {placeholder}")
        text = text.replace(placeholder, value)
    return text


def ratio(per_million: int) -> float:
    """A share of traces, 0 to 1."""
    return per_million / _MILLION


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


def collector(
    version: Version,
    per_million: int,
    memory_mib: int,
    *,
    exporters: Sequence[Exporter] = (),
    allowed_origins: Sequence[str] = (),
    tracing: Choice = EVERYTHING,
    to_jaeger: bool = True,
    origin: Origin | None = None,
) -> str:
    """The collector's configuration; ``memory_mib`` is its container's limit in MiB.

    Without ``to_jaeger`` the stack has no Jaeger: spans go to ``exporters`` alone, and are counted.
    ``origin`` is the stack that everything is marked with.

    The limiter's share leaves room for the process itself, as the memory_limiter's README advises.
    At full sampling the pipeline has no sampler: in hash_seed mode it drops spans whose tracestate
    another sampler has written (contrib processor/probabilisticsamplerprocessor).
    """
    document = template("collector.yaml")
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
    chosen = tracing.processors(memory_mib)
    document["processors"] |= chosen
    pipeline["processors"][-1:-1] = chosen
    exporter = f"{compatibility.OTLP_HTTP_EXPORTER.at(version)}/jaeger"
    (options,) = document["exporters"].values()
    options["endpoint"] = f"http://{naming.JAEGER_ALIAS}:4318"
    document["exporters"] = {exporter: options}
    pipeline["exporters"] = [exporter]
    if compatibility.COLLECTOR_METRICS.at(version) == "address":
        document["service"]["telemetry"]["metrics"] = {"address": "0.0.0.0:8888"}
    destinations.add(
        document, version, exporters, memory_mib=memory_mib, allowed_origins=allowed_origins
    )
    if not to_jaeger:
        _leave_jaeger_out(document, exporter)
    if origin:
        origin.add_to(document)
    return dump(document)


def _leave_jaeger_out(document: dict[str, Any], exporter: str) -> None:
    """From the collector's whole ``document``, in which ``exporter`` leads to Jaeger."""
    del document["exporters"][exporter]
    del document["service"]["pipelines"]["traces"]
    del document["processors"]["batch"]
    arrivals.add(document)


def jaeger(settings: Settings, names: Names) -> str:
    document = template("jaeger.yaml")
    store = settings.trace_store
    document["exporters"]["jaeger_storage_exporter"]["trace_storage"] = store
    extensions = document["extensions"]
    extensions["jaeger_storage"]["backends"] = {store: trace_store.backend(settings, names)}
    extensions["jaeger_query"]["storage"]["traces"] = store
    if store == stores.CASSANDRA:
        trace_store.write_side_by_side(document, settings.jaeger_version)
    return dump(document)


def jaeger_v1_environment(settings: Settings) -> dict[str, str]:
    """Configures Jaeger v1's all-in-one; a release ignores the variables that it does not know.

    OTLP had to be enabled up to 1.45, and listened on localhost only in 1.59.0 (jaeger#5737).
    Jaeger's own traces are switched off: they would be a service beside the cluster's. Up to 1.47
    they come from jaeger-client-go, which ignores OpenTelemetry's variable.
    """
    return {
        "COLLECTOR_OTLP_ENABLED": "true",
        "COLLECTOR_OTLP_GRPC_HOST_PORT": "0.0.0.0:4317",
        "COLLECTOR_OTLP_HTTP_HOST_PORT": "0.0.0.0:4318",
        **trace_store.v1_environment(settings),
        "JAEGER_DISABLED": "true",
        "OTEL_TRACES_SAMPLER": "always_off",
    }
