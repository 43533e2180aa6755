"""What an argument for k3s may be: what k3d, k3s and its components would refuse is refused."""

from __future__ import annotations

import re

from runtime_observability.core import compatibility
from runtime_observability.core.settings.rule import RuleError, without_dollar
from runtime_observability.core.settings.secret_texts import (
    DATASTORE_LOGIN,
    LOGIN_BEFORE_HOST,
    LOGIN_IN_URL,
    SECRET_FLAGS,
)

_RESERVED_SETTINGS = {
    ("kube-apiserver-arg", "tracing-config-file"): (
        "the stack sets the API server's tracing file",
        "set apiserverSamplingPerMillion instead",
    ),
    ("kubelet-arg", "config"): ("the stack sets the kubelet's file", "pass single kubelet flags"),
    ("kubelet-arg", "hostname-override"): (
        "no node joins under a name that its certificate does not have",
        "name it with --node-name=NAME@server:0",
    ),
}
"""What may not be passed to a component, by k3s' flag and the component's: reason and cure."""

_GO_BOOLEANS = {"1", "t", "T", "TRUE", "true", "True", "0", "f", "F", "FALSE", "false", "False"}
"""What Go's strconv.ParseBool reads; a feature gate with another value ends its component
(component-base v0.36.3 featuregate/feature_gate.go)."""

_VALUE_FLAGS = """
advertise-address advertise-port agent-token agent-token-file bind-address cluster-cidr
cluster-dns cluster-domain cluster-reset-restore-path config container-runtime-endpoint data-dir
datastore-cafile datastore-certfile datastore-endpoint datastore-keyfile default-runtime disable
egress-selector-mode etcd-arg etcd-s3-access-key etcd-s3-bucket etcd-s3-config-secret
etcd-s3-endpoint etcd-s3-endpoint-ca etcd-s3-folder etcd-s3-proxy etcd-s3-region
etcd-s3-secret-key etcd-s3-timeout etcd-snapshot-dir etcd-snapshot-name etcd-snapshot-retention
etcd-snapshot-schedule-cron flannel-backend flannel-cni-conf flannel-conf flannel-iface
helm-job-image https-listen-port kube-apiserver-arg kube-cloud-controller-manager-arg
kube-controller-manager-arg kube-proxy-arg kube-scheduler-arg kubelet-arg lb-server-port
node-external-ip node-ip node-label node-name node-taint pause-image private-registry
resolv-conf server service-cidr service-node-port-range servicelb-namespace snapshotter
system-default-registry tls-san token token-file vpn-auth vpn-auth-file write-kubeconfig
write-kubeconfig-mode
"""
"""k3s' flags that have a value (k3s docs, cli/server and cli/agent). Without one, k3s takes the
next argument for it."""

_READABLE = "would be readable in Pulumi's state and in `docker inspect`"
_ONE_LETTER = {"c": "config", "d": "data-dir", "t": "token"}
"""Other names of flags (k3s pkg/cli/cmds); Go's flags read -t and --t alike."""
_USELESS = {
    "disable-agent": (
        "a server without a kubelet is no node that becomes Ready, and up waits for one",
        "leave it out",
    ),
    "https-listen-port": (
        "k3d publishes port 6443 of the servers, so nobody could reach the API server",
        "set kubeApiPort for the port on this machine",
    ),
}
"""Flags that leave a cluster which nobody sees become ready: reason and cure."""
_NO_CHANGE = ("https-listen-port=6443", "disable-agent=false")

NO_NETWORK_PLUGIN = "--flannel-backend=none"
"""Nodes without a CNI of k3s' own: they are Ready when the user has added one."""
NODE_FILTER = re.compile(
    r"all|(server|agent)s?:(?:\*|(\d{1,9}(?:,\d{1,9})*|\d{0,9}-\d{0,9}))", re.ASCII
)
"""k3d's node filters without the load balancer, which no stack has. k3d reads a role without a
subset and refuses it later (k3d v5.9.0 pkg/util/filter.go)."""


def k3s_argument(text: str) -> str:
    if not text.startswith("--"):
        raise RuleError(
            "an argument of k3s begins with --", "for instance --disable=traefik@server:*"
        )
    argument, filters = split_k3s_argument(text)
    _refuse_secrets(argument if all(map(NODE_FILTER.fullmatch, filters)) else text)
    flag, given, value = argument[2:].partition("=")
    if not flag:
        raise RuleError(
            "it has no name after --, where k3s stops reading flags",
            "for instance --disable=traefik@server:*",
        )
    if re.search(r"\s", flag):
        cure = f"write --{flag.split()[0]}=VALUE" if flag.split() else ""
        raise RuleError("k3s reads a flag with a blank in its name", cure)
    if long := _ONE_LETTER.get(flag):
        raise RuleError(f"it is another name of --{long}", f"write --{long}=VALUE")
    if flag in _USELESS and argument[2:] not in _NO_CHANGE:
        raise RuleError(*_USELESS[flag])
    if not given and flag in _VALUE_FLAGS.split():
        raise RuleError(f"--{flag} needs a value", f"write --{flag}=VALUE")
    if flag.endswith("-arg"):
        _refuse_reserved(flag, value)
    for node_filter in filters:
        _refuse_filter(node_filter)
    if LOGIN_BEFORE_HOST.search(value):  # once it is no node filter
        raise RuleError(f"the login in --{flag} {_READABLE}", "leave the login out")
    return without_dollar(text)


def _refuse_secrets(argument: str) -> None:
    """A token or login: it could be read in Pulumi's state and in the nodes' containers."""
    flag, _, value = argument[2:].partition("=")
    flag = re.split(r"\s", flag, maxsplit=1)[0]
    flag = _ONE_LETTER.get(flag, flag)
    if flag in SECRET_FLAGS:
        raise RuleError(f"the value of --{flag} {_READABLE}", SECRET_FLAGS[flag])
    if flag == "datastore-endpoint" and DATASTORE_LOGIN.search(value):
        raise RuleError(
            f"the login in --{flag} {_READABLE}",
            "log in with a certificate: --datastore-certfile and --datastore-keyfile",
        )
    if LOGIN_IN_URL.search(argument):
        raise RuleError(f"the login in a URL of --{flag} {_READABLE}", "leave the login out")


def _refuse_reserved(flag: str, setting: str) -> None:
    """``setting`` as k3s reads it: with or without dashes before its name, and with + or - after
    it to extend a value (k3s pkg/util/args.go); components read ``_`` as ``-``, and a
    feature gate without ``kube:`` before it (component-base v0.36.3 cli/flag/flags.go,
    compatibility/registry.go).
    """
    name, given, value = setting.partition("=")
    name = name.removeprefix("--").rstrip("+-").replace("_", "-")
    if reserved := _RESERVED_SETTINGS.get((flag, name)):
        raise RuleError(*reserved)
    if name != "feature-gates" or not given:
        return
    for entry in filter(None, value.split(",")):
        gate, _, chosen = (part.strip() for part in entry.partition("="))
        gate = gate.removeprefix("kube:")
        if why := compatibility.FORBIDDEN_GATES.get(gate):
            raise RuleError(f"feature gate {gate} is {why}", "leave it out")
        if chosen not in _GO_BOOLEANS:
            raise RuleError(
                f"feature gate {gate} is neither true nor false, which stops the component",
                f"write {gate}=true or {gate}=false",
            )


def _refuse_filter(node_filter: str) -> None:
    match = NODE_FILTER.fullmatch(node_filter)
    if not match:
        raise RuleError(
            "what follows its last @ is not a node filter",
            "write server:*, agent:0 or all",
        )
    first, _, last = (match[2] or "").partition("-")
    if first and last and int(last) < int(first):
        raise RuleError(
            f"the range of {node_filter} ends before it begins",
            f"write {match[1]}:{last}-{first}",
        )


def split_k3s_argument(text: str) -> tuple[str, list[str]]:
    """Splits ``ARG@NODEFILTER;NODEFILTER``, k3d's own notation; without a filter: the servers."""
    argument, _, filters = text.rpartition("@")
    return (argument, filters.split(";")) if argument else (text, ["server:*"])


def selects(node_filter: str, role: str, index: int) -> bool:
    """Whether k3d's ``node_filter`` selects the node (k3d v5.9.0 pkg/util/filter.go)."""
    match = NODE_FILTER.fullmatch(node_filter)
    if not match:
        return False
    group, subset = match[1], match[2] or ""
    if group is None:
        return True
    if group != role:
        return False
    if "-" in subset:
        first, _, last = subset.partition("-")
        return int(first or 0) <= index and (not last or index <= int(last))
    return not subset or index in map(int, re.findall(r"\d+", subset))
