"""The stack's configuration, parsed once into a frozen, validated model.

Nothing else reads ``pulumi.Config``. Pulumi itself checks types and fills in the defaults of
Pulumi.yaml; ranges, clashes and unknown keys are left to the program (Pulumi accepts any key).
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, get_args

import pulumi
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from runtime_observability.core import compatibility
from runtime_observability.core.compatibility import ContainerdPlan, ContainerdTracing
from runtime_observability.core.values import (
    NODE_FILTER,
    PUBLISHED,
    Image,
    K3sArgument,
    PerMillion,
    Port,
    PublishedPort,
    Registry,
    RegistryConfiguration,
    Release,
    Servers,
    VersionedImage,
    since,
    split_k3s_argument,
)
from runtime_observability.core.versions import Version

PORT_DEFAULTS = {
    "jaegerUiPort": 16686,
    "otlpGrpcPort": 4317,
    "otlpHttpPort": 4318,
    "kubeApiPort": 6550,
    "collectorHealthPort": 13133,
    "collectorMetricsPort": 8888,
}
"""The ports that ``portOffset`` moves, as Pulumi.yaml has them (a test holds the two together)."""

CLUSTER_KEYS = (
    "k3sVersion",
    "k3sImage",
    "servers",
    "agents",
    "apiserverSamplingPerMillion",
    "nodeSamplingPerMillion",
    "containerdTracing",
    "containerdBinary",
    "etcdTracing",
    "kubeApiPort",
    "k3sArgs",
    "publishedPorts",
    "registries",
)
"""The keys whose change replaces the cluster, as Pulumi.yaml says (a test holds them together)."""


class SettingsError(Exception):
    """The configuration cannot be used; ``problems`` has a line for everything wrong with it."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        lines = "\n".join(f"  - {problem}" for problem in problems)
        super().__init__(f"the stack's configuration cannot be used:\n{lines}")


def _key(field: str) -> str:
    """``k3s_version`` as in Pulumi.yaml: k3sVersion, where Pydantic's to_camel says k3SVersion."""
    return re.sub(r"_(.)", lambda match: match[1].upper(), field)


class _Model(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=_key, arbitrary_types_allowed=True
    )


class Registries(_Model):
    """Registries as k3d's configuration names them.

    ``create`` is missing on purpose: a registry made by k3d would belong to no stack, and nothing
    would remove it.
    """

    use: tuple[Registry, ...] = ()
    config: RegistryConfiguration = ""


@dataclass(frozen=True)
class Images:
    """What runs, whether by its version or as the user has it."""

    jaeger: str
    collector: str
    nodes: str


class Settings(_Model):
    """One stack's configuration. Units and meanings are in Pulumi.yaml."""

    k3s_version: Annotated[
        Release,
        since(compatibility.OLDEST_K3S, "before it the components did not trace by themselves"),
    ]
    jaeger_version: Annotated[
        Release,
        since(compatibility.OLDEST_JAEGER, "earlier releases do not receive OTLP"),
    ]
    collector_version: Annotated[
        Release,
        since(compatibility.OLDEST_COLLECTOR, "the article's; earlier ones were not looked at"),
    ]
    servers: Servers
    agents: Annotated[int, Field(ge=0, le=10)]

    apiserver_sampling_per_million: PerMillion
    node_sampling_per_million: PerMillion
    collector_sampling_per_million: PerMillion
    containerd_tracing: ContainerdTracing
    containerd_binary: str
    etcd_tracing: bool

    port_offset: Annotated[int, Field(ge=0, le=40_000)]
    jaeger_ui_port: Port
    otlp_grpc_port: Port
    otlp_http_port: Port
    kube_api_port: Port
    collector_health_port: Port
    collector_metrics_port: Port

    jaeger_image: VersionedImage
    collector_image: VersionedImage
    k3s_image: VersionedImage
    k3d_tools_image: Image

    k3s_args: tuple[K3sArgument, ...]
    published_ports: tuple[PublishedPort, ...]
    registries: Registries

    jaeger_max_traces: Annotated[int, Field(ge=1_000, le=1_000_000)]
    jaeger_memory_mib: Annotated[int, Field(ge=128, le=65_536, alias="jaegerMemoryMiB")]
    collector_memory_mib: Annotated[int, Field(ge=64, le=65_536, alias="collectorMemoryMiB")]

    trace_probe: bool
    probe_timeout_seconds: Annotated[int, Field(ge=10, le=600)]
    probe_image: Image

    @property
    def images(self) -> Images:
        def chosen(own: str, version: Version, official: Callable[[Version], str]) -> str:
            return own.replace("{version}", version.tag) or official(version)

        return Images(
            jaeger=chosen(self.jaeger_image, self.jaeger_version, compatibility.jaeger_image),
            collector=chosen(
                self.collector_image, self.collector_version, compatibility.collector_image
            ),
            nodes=chosen(self.k3s_image, self.k3s_version, compatibility.k3s_image),
        )

    @property
    def containerd_plan(self) -> ContainerdPlan:
        return compatibility.containerd_plan(
            self.containerd_tracing, self.k3s_version, self.containerd_binary
        )

    @property
    def of_cluster(self) -> dict[str, Any]:
        """The values of ``CLUSTER_KEYS``, as JSON has them; ``auto`` as what it comes to."""
        values = self.model_dump(by_alias=True)
        plan = self.containerd_plan
        mode = "upstream" if plan.upstream else "image" if plan.traced else "off"
        values |= {"k3sVersion": f"v{self.k3s_version}", "containerdTracing": mode}
        chosen: dict[str, Any] = json.loads(json.dumps({key: values[key] for key in CLUSTER_KEYS}))
        return chosen

    @property
    def ports(self) -> dict[str, int]:
        """The stack's ports by key, each on 127.0.0.1."""
        values = self.model_dump(by_alias=True)
        return {key: values[key] for key in PORT_DEFAULTS}

    @property
    def host_ports(self) -> dict[str, int]:
        """Every TCP port that the stack takes on 127.0.0.1, by what asks for it."""
        return dict(_host_ports(self.model_dump(by_alias=True)))


def parse(raw: Mapping[str, Any]) -> Settings:
    """The settings in ``raw``, keyed as in Pulumi.yaml; portOffset moves every port at its default.

    Raises SettingsError with every problem at once.
    """
    moved = _move_default_ports(raw)
    clashes = _refuse_clashes(moved)
    try:
        settings = Settings.model_validate(moved)
    except ValidationError as errors:
        problems = [_problem(error, moved) for error in errors.errors()]
        raise SettingsError(problems + clashes) from None
    problems = [
        *clashes,
        *_refuse_arguments_for_no_node(settings),
        *_refuse_untraceable_etcd(settings),
        *_refuse_unpublished(settings),
    ]
    if problems:
        raise SettingsError(problems)
    return settings


def read(schema: Mapping[str, Any]) -> Settings:
    """The selected stack's settings; ``schema`` is the ``config`` part of Pulumi.yaml."""
    config = pulumi.Config()
    given = {
        key.partition(":")[2]
        for key in (pulumi.runtime.config.get_config_env() | pulumi.runtime.config.CONFIG.get())
        if key.startswith(f"{config.name}:")
    }
    raw: dict[str, Any] = {}
    for key in schema.keys() | given:
        structured = schema.get(key, {}).get("type") in ("array", "object")
        value = config.get_object(key) if structured else config.get(key)
        if value is not None:
            raw[key] = value
    return parse(raw)


def _move_default_ports(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Pulumi gives a default and the same value set by hand alike, so both are moved."""
    moved = dict(raw)
    offset = str(raw.get("portOffset", 0))
    if not offset.isdecimal():
        return moved
    for key, default in PORT_DEFAULTS.items():
        if str(raw.get(key)) == str(default):
            moved[key] = default + int(offset)
    return moved


def _host_ports(raw: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    """Who takes which TCP port of 127.0.0.1, as far as ``raw`` can be read."""
    for key in PORT_DEFAULTS:
        if str(raw.get(key)).isdecimal():
            yield key, int(raw[key])
    for entry in raw.get("publishedPorts", ()):
        match = PUBLISHED.match(str(entry))
        if match and match[3] != "udp":
            yield f"publishedPorts {entry!r}", int(match[1])


def _refuse_clashes(raw: Mapping[str, Any]) -> list[str]:
    problems = []
    holders: dict[int, str] = {}
    for key, port in _host_ports(raw):
        if port in holders:
            problems.append(
                f"{key}: {port} is also the port of {holders[port]}: every port needs a number "
                "of its own"
            )
        holders.setdefault(port, key)
    return problems


def _refuse_arguments_for_no_node(settings: Settings) -> list[str]:
    """k3d refuses an index that no node has, and only after the old cluster has gone."""
    counts = {"server": settings.servers, "agent": settings.agents}
    problems = []
    for number, argument in enumerate(settings.k3s_args):
        for each in split_k3s_argument(argument)[1]:
            match = NODE_FILTER.fullmatch(each)
            indexes = re.findall(r"\d+", match[2] or "") if match else []
            if match and any(int(index) >= counts[match[1]] for index in indexes):
                problems.append(
                    f"k3sArgs.{number}: {each} names a node that there is not: of {match[1]}s "
                    f"there are {counts[match[1]]}, counted from 0"
                )
    return problems


def _refuse_untraceable_etcd(settings: Settings) -> list[str]:
    if not settings.etcd_tracing:
        return []
    problems = []
    if settings.servers == 1:
        problems.append(
            "etcdTracing: true cannot be used with servers: 1, which k3s runs on SQLite without "
            "etcd; the nearest is servers: 3"
        )
    oldest = compatibility.ETCD_TRACING_PREFIX.begins
    if settings.k3s_version < oldest:
        problems.append(
            f"etcdTracing: true cannot be used with k3s {settings.k3s_version}: before {oldest} "
            "its etcd has no sampling rate for traces"
        )
    return problems


def _refuse_unpublished(settings: Settings) -> list[str]:
    """Releases without an official image: its name is not guessed."""
    problems = []
    k3s, jaeger, collector = (
        settings.k3s_version,
        settings.jaeger_version,
        settings.collector_version.numbers,
    )
    if not k3s.build and (not settings.k3s_image or "{version}" in settings.k3s_image):
        problems.append(
            f"k3sVersion: {k3s} is no tag of k3s' image, which ends in k3s' own build number; the "
            f"nearest is v{k3s}-k3s1"
        )
    for key, version, image in (
        ("jaegerVersion", jaeger, settings.jaeger_image),
        ("collectorVersion", settings.collector_version, settings.collector_image),
    ):
        if version.pre_release and not image:
            problems.append(
                f"{key}: no official image of the pre-release {version} is known; name one in "
                f"{key.removesuffix('Version')}Image, or use {version.numbers}"
            )
    nearest = compatibility.UNPUBLISHED_COLLECTORS.get(collector)
    if nearest and not settings.collector_image:
        problems.append(
            f"collectorVersion: {collector} has no official image; the nearest that has is "
            f"{nearest}, and one of your own is named in collectorImage"
        )
    last = compatibility.LAST_JAEGER_V1
    if last < jaeger < compatibility.OLDEST_JAEGER_V2:
        problems.append(
            f"jaegerVersion: there is no {jaeger}: v1 ended with {last}, and v2 began with "
            f"{compatibility.OLDEST_JAEGER_V2}"
        )
    return problems


def _problem(error: Any, raw: Mapping[str, Any]) -> str:
    """One line for one of Pydantic's errors: the key, the value, the rule, the nearest choice."""
    location = [str(part) for part in error["loc"]]
    key = ".".join(location)
    context = error.get("ctx", {})
    # Of what may hold a password, no word is repeated.
    value = "its text" if key == "registries.config" else json.dumps(error["input"], default=str)
    match error["type"]:
        case "extra_forbidden":
            fields = (Settings if len(location) == 1 else Registries).model_fields
            known = [field.alias or name for name, field in fields.items()]
            near = difflib.get_close_matches(location[-1], known, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]}?" if near else "Pulumi.yaml lists every key"
            return f"{key}: there is no such key; {hint}"
        case "missing":
            return f"{key}: has no value, and Pulumi.yaml gives it no default"
        case "greater_than_equal":
            why = ": ports below are for programs of root" if key in PORT_DEFAULTS else ""
            return f"{key}: {value} is too small; the least is {context['ge']}{why}"
        case "less_than_equal":
            offset = raw.get("portOffset", 0)
            moved = key in PORT_DEFAULTS and str(raw[key]) == str(PORT_DEFAULTS[key] + int(offset))
            why = f" (with portOffset {offset})" if moved else ""
            return f"{key}: {value}{why} is too large; the most is {context['le']}"
        case "literal_error":
            near = difflib.get_close_matches(str(error["input"]), get_args(ContainerdTracing), n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            return f"{key}: {value} is not one of {context['expected']}{hint}"
        case "tuple_type":
            return f"{key}: {value} is no list: `pulumi config set --path '{key}[0]' VALUE`"
        case "value_error":
            return f"{key}: {value} cannot be used: {context['error']}"
        case _:
            return f"{key}: {value} cannot be used: {error['msg']}"
