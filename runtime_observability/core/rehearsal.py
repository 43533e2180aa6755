"""The cluster in which a change is rehearsed that the standing cluster might not survive."""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterable, Iterator, Mapping
from ipaddress import IPv4Network
from typing import Any

from runtime_observability.core import transition
from runtime_observability.core.cluster_spec import (
    DATASTORES,
    ClusterSpec,
    Port,
    outside_datastore,
    published,
)
from runtime_observability.core.naming import Names
from runtime_observability.core.settings.node_extras import (
    DATA_FOLDER,
    KUBELET_FOLDER,
    OF_ONE_KUBELET,
    WORKLOADS,
    of_the_cluster,
    overlaps,
    source_of,
)

_SQLITE = "sqlite://"
_RANGES = ("--cluster-cidr", "--service-cidr")
_OF_NODES = ("k3sArgs", "nodeEnvironment", "nodeVolumes")
"""The settings with which a user changes nodes as Kubernetes knows them."""
_DATA_FOLDERS = ("--data-dir", "K3S_DATA_DIR")
_STATIC_PODS, _KUBELET_FOLDER = "pod-manifest-path", "root-dir"
"""The kubelet's arguments for other folders of static pods, and of its own."""
_LOGS = "/var/log/pods"
"""Where a kubelet removes the logs of all pods that are not its own."""


def not_shown(
    spec: ClusterSpec,
    names: Names,
    subnets: Collection[IPv4Network],
    in_files: Iterable[tuple[str, str]] = (),
) -> Iterator[str]:
    """Why a cluster of ``spec`` may not start although its rehearsal does; nothing: no reason.

    ``subnets`` are those of the stack's network, on which the rehearsal is not; ``in_files`` are
    the arguments that k3s reads from files of the user's.
    """
    in_files = list(in_files)
    given = [*spec.given, *in_files]
    yield from _shared_data_folders(spec, in_files)
    if setting := outside_datastore(given) or _datastore_in_a_volume(spec, given):
        yield (
            f"is not rehearsed: {setting} keeps the cluster in a datastore outside of its nodes, "
            "where the rehearsal would begin one, and k3s lets no cluster with another token into "
            "a datastore that is in use"
        )
    for setting, value in given:
        for text in value.split(",") if setting in _RANGES else ():
            for subnet in subnets:
                if _overlap(text, subnet):
                    yield (
                        f"cannot work: {text} of {setting} has addresses of network "
                        f"{names.network} ({subnet}), and its nodes would reach nothing there. "
                        "Choose another range"
                    )


def _overlap(text: str, subnet: IPv4Network) -> bool:
    """Of a text that is no range of IPv4 addresses the rehearsal itself tells."""
    try:
        return IPv4Network(text.strip(), strict=False).overlaps(subnet)
    except ValueError:
        return False


def _shared_data_folders(spec: ClusterSpec, in_files: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Of a folder that an argument or a variable names, the settings' rules tell."""
    for folder in (value for name, value in in_files if name in _DATA_FOLDERS):
        for volume in _volumes(spec):
            if why := of_the_cluster(volume, folder):
                yield f"is not rehearsed: {volume} would be the rehearsal's, too, and {why}"


def _datastore_in_a_volume(spec: ClusterSpec, given: Iterable[tuple[str, str]]) -> str:
    """The setting that keeps the cluster in a file of this machine; empty: none."""
    return next(
        (
            setting
            for setting, value in given
            if setting in DATASTORES and value.startswith(_SQLITE)
            for volume in _volumes(spec)
            if source_of(volume, value.removeprefix(_SQLITE).partition("?")[0])
        ),
        "",
    )


def _volumes(spec: ClusterSpec) -> list[str]:
    return [entry["volume"] for entry in spec.config["volumes"]]


def kept_apart(spec: ClusterSpec, in_files: Iterable[tuple[str, str]] = ()) -> list[str]:
    """The nodes' volumes that no rehearsal shares with the standing cluster: k3s or the kubelet
    would find manifests of the user's there, or the kubelet would remove what is of the cluster's
    pods. ``in_files`` as above."""
    given = [*spec.given, *in_files]
    arguments = [value.partition("=") for name, value in given if name == "--kubelet-arg"]
    of_kubelet = [(flag.lstrip("-").replace("_", "-"), path) for flag, _, path in arguments]
    data = [value for name, value in given if name in _DATA_FOLDERS] or [DATA_FOLDER]
    own = [path for flag, path in of_kubelet if flag == _KUBELET_FOLDER]
    folders = [
        _LOGS,
        *(path for flag, path in of_kubelet if flag == _STATIC_PODS),
        *(f"{folder}/{part}" for folder in data for part in WORKLOADS),
        *(f"{folder}/{part}" for folder in [KUBELET_FOLDER, *own] for part in OF_ONE_KUBELET),
    ]
    return [volume for volume in _volumes(spec) if overlaps(volume, folders)]


def configuration(
    spec: ClusterSpec,
    names: Names,
    new_ports: Collection[Port] = (),
    stand_ins: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """k3d's configuration of ``spec`` with as few nodes as show whether all start.

    Their image, arguments, environment and registries are the same. Their files have a folder of
    their own, as the standing nodes read theirs when they restart; they publish no port but
    ``new_ports``, which the stack does not hold yet, and the API server, else on a free one, and
    have a network of their own, on which no span reaches the collector. In the place of volumes
    that are ``kept_apart`` they have their ``stand_ins``, or nothing: a workload of the user's
    would run twice on the same data, and one that runs would lose its own.
    """
    empty = dict.fromkeys(kept_apart(spec), "") | {**(stand_ins or {})}
    config = copy.deepcopy(spec.config)
    rehearsed = _rehearsed(spec)

    def of_nodes(key: str) -> list[dict[str, Any]]:
        return [
            {key: _with_own_names(text, names), "nodeFilters": [f"{role}:{place}"]}
            for role, indexes in rehearsed.items()
            for place, index in enumerate(indexes)
            for text in transition.of_node(spec.config, key, role, index)
        ]

    config["metadata"]["name"] = names.rehearsal
    servers, agents = map(len, rehearsed.values())
    config |= {"servers": servers, "agents": agents, "env": of_nodes("envVar")}
    config["ports"] = [entry for entry in config["ports"] if published(entry) in new_ports]
    del config["network"]
    if (int(config["kubeAPI"]["hostPort"]), "tcp") not in new_ports:
        del config["kubeAPI"]["hostPort"]
    directory = str(names.rehearsal_directory / names.node_directory.name)
    config["volumes"] = [
        entry | {"volume": volume.replace(str(names.node_directory), directory, 1)}
        for entry in of_nodes("volume")
        if (volume := empty.get(entry["volume"], entry["volume"]))
    ]
    arguments = of_nodes("arg")
    if spec.config["servers"] > servers == 1:  # k3d itself adds it for more than one
        arguments.append({"arg": "--cluster-init", "nodeFilters": ["server:0"]})
    config["options"]["k3s"]["extraArgs"] = arguments
    config["options"]["k3d"]["timeout"] = f"{120 + 60 * (servers + agents)}s"
    return config


def _with_own_names(text: str, names: Names) -> str:
    """``text`` with the rehearsal's nodes in NO_PROXY: they too connect to their server by name."""
    if not text.startswith("NO_PROXY="):
        return text
    return text.replace(f"k3d-{names.cluster}-", f"k3d-{names.rehearsal}-")


def nodes(config: dict[str, Any], names: Names) -> list[str]:
    """Container names of the nodes in a rehearsal's configuration."""
    return [
        f"k3d-{names.rehearsal}-{role}-{index}"
        for role in ("server", "agent")
        for index in range(config[f"{role}s"])
    ]


def _rehearsed(spec: ClusterSpec) -> dict[str, list[int]]:
    """By role, the indexes of the first node with each list of arguments, and of one that joins.

    Nodes of one role differ in nothing else that could stop them. A node without anything of the
    user's joins like every other: the stack's own, the kubelet's file, the first server has too.
    What the user gives the servers, such as an address that etcd listens at, may keep others away.
    """
    config = spec.config
    joins = any(spec.settings.get(key) for key in _OF_NODES)
    chosen: dict[str, list[int]] = {}
    for role, own_arguments, least in (("server", 0, 1 + joins), ("agent", 1, int(joins))):
        first: dict[tuple[str, ...], int] = {}
        indexes = range(config[f"{role}s"])
        for index in indexes:
            first.setdefault(tuple(transition.of_node(config, "arg", role, index)), index)
        found = [index for arguments, index in first.items() if len(arguments) > own_arguments]
        others = [index for index in indexes if index not in found]
        chosen[role] = [*found, *others[: max(0, least - len(found))]]
    return chosen
