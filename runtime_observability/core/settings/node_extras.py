"""What nodes get beside their own: variables of the environment, and mounts of this machine."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from posixpath import normpath

from runtime_observability.core import naming
from runtime_observability.core.settings.rule import RuleError, without_dollar
from runtime_observability.core.settings.secret_texts import (
    DATASTORE_LOGIN,
    LOGIN_IN_URL,
    SECRET_FLAGS,
    SECRET_VARIABLES,
)
from runtime_observability.core.settings.urls import host_and_port

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_OWN = re.compile(r"(CONTAINERD_)?OTEL_|K3S_(TOKEN|URL|KUBECONFIG)|PATH\Z")
"""Variables that the stack, k3d or the image sets."""
_OF_A_PROXY = re.compile(r"\A(https?|socks5h?)://|/\Z", re.IGNORECASE)
"""What a proxy's address may have around HOST:PORT."""
_VOLUME = re.compile(r"(?P<source>[^:~][^:]*):(?P<target>/[^:]*)(:(?P<options>[a-zA-Z,]+))?")
_TAKEN = {
    naming.NODE_FOLDER: "the stack mounts its own files there",
    "/var/lib/kubelet/pods": "the node keeps its pods there",
    "/output": (
        "each server writes its kubeconfig there, also the one in which a replacement is rehearsed"
    ),
    "/run/k3s": "each node has the sockets of its own containerd there",
}
"""What nothing is mounted over or in."""
DATA_FOLDER = "/var/lib/rancher/k3s"
"""Where k3s keeps the cluster, unless --data-dir says otherwise."""
_TLS = "server/tls"
_OF_THE_CLUSTER = ("server/db", _TLS, "server/cred", "agent/containerd")
"""Below it: what a node must have for itself. k3s' documentation has uses for what is beside it,
such as images, manifests and storage, and for files of one's own authority in ``_TLS``."""
WORKLOADS = ("server/manifests", "agent/pod-manifests")
"""Below it: what k3s and the kubelet make objects and pods of."""
KUBELET_FOLDER = "/var/lib/kubelet"
"""Where a kubelet keeps its pods, unless root-dir says otherwise."""
OF_ONE_KUBELET = ("pods", "device-plugins", "plugins_registry")
"""Below it: where a kubelet removes what is of no pod of its own, and has its sockets."""
REGISTRIES_FILE = "/etc/rancher/k3s/registries.yaml"
"""Where k3s reads them, and k3d writes them (k3d v5.9.0 pkg/client/cluster.go)."""
_OF_CONTAINERD = "CONTAINERD_"
"""Before a variable that k3s gives to containerd alone, without this and in the place of the node's
(k3s commit cbacd7107)."""
PROXIES = frozenset({"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"})
_NEVER_PROXIED = (
    "localhost", "127.0.0.1", "127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16",
    ".svc", ".cluster.local", naming.COLLECTOR_ALIAS,
)  # fmt: skip
"""The machine, private addresses (Docker's networks, k3s' pods and services, as k3s' documentation
on proxies advises), the cluster's names, and where spans go."""


def node_environment(variables: Mapping[str, str]) -> Mapping[str, str]:
    """Raises RuleError for a variable that nodes cannot get."""
    for name, value in variables.items():
        if not _NAME.fullmatch(name):
            raise RuleError(
                "the name of a variable has letters, digits and _", "for instance HTTPS_PROXY"
            )
        if _OWN.match(name):
            raise RuleError(f"the stack sets {name} itself", "leave it out")
        if name == "K3S_NODE_NAME":
            raise RuleError(
                "all nodes would have that one name",
                "name each in k3sArgs: --node-name=NAME@server:0",
            )
        if flag := SECRET_VARIABLES.get(name):
            raise RuleError(
                f"the value of {name} would be readable in Pulumi's state and in `docker inspect`",
                SECRET_FLAGS[flag],
            )
        if "\n" in value:
            raise RuleError(f"{name} has a line break, which no variable of a node can have")
        if name == "K3S_DATASTORE_ENDPOINT" and DATASTORE_LOGIN.search(value):
            raise RuleError(
                f"the login in {name} would be readable in Pulumi's state and in `docker inspect`",
                "log in with a certificate: K3S_DATASTORE_CERTFILE and K3S_DATASTORE_KEYFILE",
            )
        # Go takes a proxy without its scheme, too (golang.org/x/net http/httpproxy).
        is_proxy = name.upper().removeprefix(_OF_CONTAINERD) in PROXIES
        if LOGIN_IN_URL.search(value) or (is_proxy and "@" in value):
            raise RuleError(
                f"{name} has a login, which everybody who may use Docker could read",
                "use a proxy on this machine that logs in",
            )
        if is_proxy and value and not host_and_port(_OF_A_PROXY.sub("", value)):
            raise RuleError(
                f"{name} is no proxy: that is HOST[:PORT], alone or after http://, https://, "
                "socks5:// or socks5h://",
                "for instance http://proxy.example:3128",
            )
        without_dollar(value)
    return variables


def node_volume(text: str) -> str:
    """Raises RuleError for what Docker cannot mount in a node, or what a node needs itself."""
    match = _VOLUME.fullmatch(without_dollar(text))
    if not match:
        raise RuleError(
            "a volume is SOURCE:TARGET[:ro], with an absolute TARGET and a SOURCE that is absolute "
            "or below the project's folder",
            "for instance certificates/company.pem:/etc/ssl/certs/company.pem:ro",
        )
    target = _target(match)
    taken = [
        why
        for path, why in _TAKEN.items()
        if target.is_relative_to(path) or PurePosixPath(path).is_relative_to(target)
    ]
    if why := of_the_cluster(text, DATA_FOLDER) or next(iter(taken), ""):
        raise RuleError(f"{target} cannot be mounted over: {why}", "choose another TARGET")
    return text


def of_the_cluster(volume: str, data_folder: str) -> str:
    """Why no node can have ``volume``, where k3s keeps the cluster in ``data_folder``; empty: one
    can.

    Every node has the same volumes, and so has the server in which a replacement is rehearsed: it
    would write into the data of the cluster that stands, and the next one start with what it left.
    """
    match = _VOLUME.fullmatch(volume)
    target = _target(match) if match else PurePosixPath()
    for part in _OF_THE_CLUSTER:
        path = PurePosixPath(data_folder) / part
        if path.is_relative_to(target) or (part != _TLS and target.is_relative_to(path)):
            return f"k3s keeps the cluster below {data_folder}, and no two nodes can share it"
    return ""


def overlaps(volume: str, folders: Iterable[str]) -> bool:
    """Whether a node with ``volume`` has what is in it in one of its ``folders``."""
    match = _VOLUME.fullmatch(volume)
    target = _target(match) if match else PurePosixPath()
    return any(
        target.is_relative_to(folder) or PurePosixPath(folder).is_relative_to(target)
        for folder in folders
    )


def is_read_only(volume: str) -> bool:
    match = _VOLUME.fullmatch(volume)
    return match is not None and "ro" in (match["options"] or "").split(",")


def source_of(volume: str, path: str) -> str:
    """What of this machine nodes with ``volume`` have at ``path`` or, where it is a folder, in it;
    empty: nothing."""
    match = _VOLUME.fullmatch(volume)
    if not match:
        return ""
    source, target, wanted = PurePosixPath(match["source"]), _target(match), PurePosixPath(path)
    if wanted.is_relative_to(target):
        return str(source / wanted.relative_to(target))
    return str(source) if target.is_relative_to(wanted) else ""


def has_registries(volume: str) -> bool:
    """Whether ``volume`` is mounted over the nodes' registries.yaml, or over a folder of it."""
    match = _VOLUME.fullmatch(volume)
    return match is not None and PurePosixPath(REGISTRIES_FILE).is_relative_to(_target(match))


def _target(volume: re.Match[str]) -> PurePosixPath:
    return PurePosixPath(f"/{normpath(volume['target']).lstrip('/')}")


def split_node_volume(text: str) -> tuple[str, str]:
    """SOURCE, and the rest from TARGET on."""
    source, _, rest = text.partition(":")
    return source, rest


def with_direct_addresses(
    variables: Mapping[str, str], nodes: list[str], *, of_containerd: bool
) -> dict[str, str]:
    """``variables`` where, if a proxy is among them, NO_PROXY has all that it must not be used for.

    ``nodes`` are the names of nodes that others connect to. With ``of_containerd``, which sends
    spans then, its own list has it, too, where the node's does not count for it.
    """
    found = dict(variables)
    of_node = PROXIES & {name.upper() for name in variables}
    if of_node:
        found = _with_exceptions(found, "", "", nodes)
    own = {
        name.removeprefix(_OF_CONTAINERD).upper()
        for name in variables
        if name.startswith(_OF_CONTAINERD)
    }
    if of_containerd and "NO_PROXY" in own and (of_node or PROXIES & own):
        return _with_exceptions(found, _OF_CONTAINERD, _OF_CONTAINERD, nodes)
    if of_containerd and PROXIES & own and not of_node:
        return _with_exceptions(found, "", _OF_CONTAINERD, nodes)
    return found


def _with_exceptions(
    variables: Mapping[str, str], own: str, wanted: str, nodes: list[str]
) -> dict[str, str]:
    """With NO_PROXY behind the prefix ``wanted``, which begins with that behind ``own``."""
    texts = [variables.get(f"{own}{name}", "") for name in ("NO_PROXY", "no_proxy")]
    direct = [part.strip() for text in texts for part in text.split(",") if part.strip()]
    others = {name: value for name, value in variables.items() if name != f"{wanted}no_proxy"}
    exceptions = ",".join(dict.fromkeys([*direct, *_NEVER_PROXIED, *nodes]))
    return others | {f"{wanted}NO_PROXY": exceptions}
