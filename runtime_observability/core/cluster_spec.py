"""The cluster as one value: k3d's configuration, and what makes it another cluster."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from runtime_observability.core import compatibility, documents, naming
from runtime_observability.core.naming import Names
from runtime_observability.core.settings.k3s_arguments import NO_NETWORK_PLUGIN, split_k3s_argument
from runtime_observability.core.settings.node_extras import (
    has_registries,
    split_node_volume,
    with_direct_addresses,
)

if TYPE_CHECKING:  # its library takes longer to load than everything else here
    from runtime_observability.core.settings.model import Settings

_LOOPBACK = {"localhost", "127.0.0.1"}
DATASTORES = ("--datastore-endpoint", "K3S_DATASTORE_ENDPOINT")
_IN_THE_NODE = ("", "sqlite")
"""k3s' datastores that are files of the node, by what is before ``:`` (kine pkg/endpoint)."""
_EVERYWHERE = ["server:*", "agent:*"]
"""k3d's filter for all nodes, agents or not."""

Port = tuple[int, str]
"""One of this machine, with its protocol: tcp or udp."""


@dataclass(frozen=True)
class ClusterSpec:
    """What the cluster is: ``core.transition`` tells what a change of it does to the nodes."""

    config: dict[str, Any]
    """k3d's configuration, without the labels that only name the owner."""
    files: dict[str, str]
    """sha256 of every node-side file, by name."""
    tools_image: str
    """Image of k3d's helper container, which is not part of the cluster."""
    settings: dict[str, Any] = field(compare=False)
    """The settings that it was made from, by key: they name a change to a person."""

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> ClusterSpec:
        """From a ``document``."""
        return cls(
            document["k3d"],
            document["files"],
            document["toolsImage"],
            document.get("settings", {}),  # the first releases did not record them
        )

    @property
    def document(self) -> dict[str, Any]:
        return {
            "k3d": self.config,
            "files": self.files,
            "toolsImage": self.tools_image,
            "settings": self.settings,
        }

    @property
    def start_seconds(self) -> int:
        """How long k3d waits for the nodes."""
        return int(self.config["options"]["k3d"]["timeout"].removesuffix("s"))

    @property
    def image(self) -> str:
        """The nodes' image."""
        return str(self.config["image"])

    @property
    def registries(self) -> str:
        """The text of the nodes' registries.yaml."""
        return str(self.config.get("registries", {}).get("config", ""))

    @property
    def registries_in_use(self) -> list[str]:
        """The entries of registries.use."""
        use: list[str] = self.config.get("registries", {}).get("use", [])
        return use

    @property
    def registries_are_mounted(self) -> bool:
        """Whether the nodes' registries.yaml is the user's, in a volume: nobody else writes it."""
        return any(has_registries(entry["volume"]) for entry in self.config["volumes"])

    @property
    def host_ports(self) -> list[Port]:
        """The ports that the nodes take on 127.0.0.1, each with its protocol."""
        api = (int(self.config["kubeAPI"]["hostPort"]), "tcp")
        return [api, *map(published, self.config["ports"])]

    @property
    def has_network_plugin(self) -> bool:
        """Whether k3s brings a CNI; without one, nodes are Ready when the user has added one."""
        arguments = self.config["options"]["k3s"]["extraArgs"]
        return NO_NETWORK_PLUGIN not in (entry["arg"] for entry in arguments)

    @property
    def given(self) -> list[tuple[str, str]]:
        """The names and values of k3s' arguments and of the nodes' variables."""
        arguments = (entry["arg"] for entry in self.config["options"]["k3s"]["extraArgs"])
        texts = [*arguments, *(entry["envVar"] for entry in self.config["env"])]
        return [(name, value) for name, _, value in (text.partition("=") for text in texts)]

    @property
    def outside_datastore(self) -> str:
        """The setting that keeps the cluster in a datastore outside of its nodes; empty: none."""
        return outside_datastore(self.given)

    @property
    def has_etcd(self) -> bool:
        """Whether the servers keep the cluster in an etcd of their own."""
        return bool(self.config["servers"] > 1 and not self.outside_datastore)


def outside_datastore(given: Iterable[tuple[str, str]]) -> str:
    """Which of the settings that are ``given`` keeps the cluster in a datastore outside of its
    nodes; empty: none."""
    return next(
        (
            setting
            for setting, value in given
            if setting in DATASTORES and value.partition(":")[0] not in _IN_THE_NODE
        ),
        "",
    )


def published(entry: Mapping[str, Any]) -> Port:
    """The port on 127.0.0.1 of one of k3d's ``ports``, with its protocol."""
    _, port, inside = entry["port"].split(":")
    return int(port), inside.partition("/")[2] or "tcp"


def cluster_spec(
    settings: Settings, names: Names, files: dict[str, str], image: str
) -> ClusterSpec:
    """The cluster of ``settings`` on nodes of ``image``, with the node-side ``files`` by name."""
    config = documents.template("k3d.yaml")
    config["metadata"]["name"] = names.cluster
    config["servers"] = settings.servers
    config["agents"] = settings.agents
    config["image"] = image
    config["network"] = names.network
    config["kubeAPI"]["hostPort"] = str(settings.kube_api_port)
    config["volumes"] = [*_volumes(names, files), *_own_volumes(settings, names)]
    config["ports"] = [
        {"port": f"127.0.0.1:{port}", "nodeFilters": ["server:0:direct"]}
        for port in settings.published_ports
    ]
    config["env"] = _node_variables(settings, names)
    if registries := _registries(settings):
        config["registries"] = registries
    # k3d starts the servers one after the other.
    config["options"]["k3d"]["timeout"] = f"{120 + 60 * (settings.servers + settings.agents)}s"
    config["options"]["k3s"]["extraArgs"] = _k3s_arguments(settings)
    digests = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in files.items()}
    return ClusterSpec(config, digests, settings.tools_image, settings.of_cluster)


def _volumes(names: Names, files: dict[str, str]) -> list[dict[str, Any]]:
    mounts = {names.node_directory: naming.NODE_FOLDER}
    if documents.CONTAINERD_FILE in files:
        mounts[names.node_directory / documents.CONTAINERD_FILE] = compatibility.CONTAINERD_TEMPLATE
    return [
        {"volume": f"{source}:{target}:ro", "nodeFilters": _EVERYWHERE}
        for source, target in mounts.items()
    ]


def _own_volumes(settings: Settings, names: Names) -> list[dict[str, Any]]:
    return [
        {"volume": f"{names.folder / source}:{rest}", "nodeFilters": _EVERYWHERE}
        for source, rest in map(split_node_volume, settings.node_volumes)
    ]


def _registries(settings: Settings) -> dict[str, Any]:
    """What the user has set; the nodes pull from the mirror too, unless a configuration is set or
    mounted.

    A node falls back to Docker Hub where the mirror does not answer (k3s docs, private registry).
    Its own 127.0.0.1 is not this machine's, so that a mirror there is none for the nodes.
    """
    registries: dict[str, Any] = settings.registries.model_dump(mode="json", exclude_defaults=True)
    host, _, path = settings.registry_mirror.partition("/")
    own = settings.registries.config or any(map(has_registries, settings.node_volumes))
    if not host or own or host.partition(":")[0] in _LOOPBACK:
        return registries
    endpoint = f"https://{host}/v2/{path}" if path else f"https://{host}"
    mirrors = {"mirrors": {"docker.io": {"endpoint": [endpoint]}}}
    return {**registries, "config": documents.dump(mirrors)}


def _node_variables(settings: Settings, names: Names) -> list[dict[str, Any]]:
    """With each node's name as a resource attribute, which the kubelet alone sends by itself."""
    servers = [names.node("server", index) for index in range(settings.servers)]
    own_variables = with_direct_addresses(
        settings.node_environment, servers, of_containerd=settings.containerd_plan.traced
    )
    shared = node_environment(settings) | own_variables
    own = {
        f"{role}:{index}": names.node(role, index)
        for role, count in (("server", settings.servers), ("agent", settings.agents))
        for index in range(count)
    }
    return [
        *(
            {"envVar": f"{name}={value}", "nodeFilters": _EVERYWHERE}
            for name, value in shared.items()
        ),
        *(
            {"envVar": f"OTEL_RESOURCE_ATTRIBUTES=k8s.node.name={node}", "nodeFilters": [place]}
            for place, node in own.items()
        ),
    ]


def _k3s_arguments(settings: Settings) -> list[dict[str, Any]]:
    apiserver = f"--kube-apiserver-arg=tracing-config-file={_in_node(documents.APISERVER_FILE)}"
    kubelet = f"--kubelet-arg=config={_in_node(documents.KUBELET_FILE)}"
    return [
        {"arg": apiserver, "nodeFilters": ["server:*"]},
        {"arg": kubelet, "nodeFilters": _EVERYWHERE},
        *({"arg": flag, "nodeFilters": ["server:*"]} for flag in etcd_arguments(settings)),
        *(
            {"arg": argument, "nodeFilters": filters}
            for argument, filters in map(split_k3s_argument, settings.k3s_args)
        ),
    ]


def _in_node(file: str) -> str:
    return f"{naming.NODE_FOLDER}/{file}"


def with_labels(config: dict[str, Any], labels: Mapping[str, str]) -> dict[str, Any]:
    """``config`` with Docker ``labels`` on all its nodes."""
    runtime = {
        "labels": [
            {"label": f"{name}={value}", "nodeFilters": _EVERYWHERE}
            for name, value in labels.items()
        ]
    }
    return {**config, "options": {**config["options"], "runtime": runtime}}


def node_environment(settings: Settings) -> dict[str, str]:
    """Environment of every node: the exporters' queues, and containerd's tracing where it has any.

    k3s hands ``CONTAINERD_<NAME>`` to containerd alone, without the prefix (k3s commit cbacd7107).
    """
    if settings.containerd_plan.delivery != "environment":
        return dict(compatibility.NODE_EXPORTERS)
    ratio = documents.ratio(settings.node_sampling_per_million)
    return compatibility.NODE_EXPORTERS | {
        "CONTAINERD_OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{documents.ENDPOINT}",
        "CONTAINERD_OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
        "CONTAINERD_OTEL_SERVICE_NAME": "containerd",
        "CONTAINERD_OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
        "CONTAINERD_OTEL_TRACES_SAMPLER_ARG": str(ratio),
    }


def etcd_arguments(settings: Settings) -> list[str]:
    """k3s' arguments that have its embedded etcd traced as service ``etcd``."""
    if not settings.etcd_tracing:
        return []
    prefix = compatibility.ETCD_TRACING_PREFIX.at(settings.k3s_version)
    flags = {
        f"{prefix}enable-distributed-tracing": "true",
        f"{prefix}distributed-tracing-address": documents.ENDPOINT,
        f"{prefix}distributed-tracing-service-name": "etcd",
        f"{prefix}distributed-tracing-sampling-rate": str(settings.apiserver_sampling_per_million),
    }
    return [f"--etcd-arg={flag}={value}" for flag, value in flags.items()]
