"""What one value of the configuration may be: types that refuse with the rule and the cure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any

import yaml
from pydantic import AfterValidator, BeforeValidator, Field

from runtime_observability.core import compatibility
from runtime_observability.core.versions import Version

_RESERVED_SETTINGS = {
    ("kube-apiserver-arg", "tracing-config-file"): (
        "the stack sets the API server's tracing file",
        "set apiserverSamplingPerMillion instead",
    ),
    ("kubelet-arg", "config"): ("the stack sets the kubelet's file", "pass single kubelet flags"),
}
"""What may not be passed to a component, by k3s' flag and the component's: reason and cure."""

_GO_BOOLEANS = frozenset("1 t T TRUE true True 0 f F FALSE false False".split())
"""What Go's strconv.ParseBool reads; a feature gate with another value ends its component
(component-base v0.36.3 featuregate/feature_gate.go)."""

_VALUE_FLAGS = frozenset(
    """
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
    """.split()
)
"""k3s' flags that have a value (k3s docs, cli/server and cli/agent). Without one, k3s takes the
next argument for it."""

_IN_A_SECRET = "keep it in a Kubernetes Secret and name that in --etcd-s3-config-secret"
_SECRET_FLAGS = {
    "token": "leave it out: k3d makes a token of its own",
    "agent-token": "leave it out: agents join with k3d's token",
    "etcd-s3-access-key": _IN_A_SECRET,
    "etcd-s3-secret-key": _IN_A_SECRET,
    "etcd-s3-session-token": _IN_A_SECRET,
    "vpn-auth": "name a file in the nodes: --vpn-auth-file=PATH",
}
"""k3s' flags whose value is a secret, with the cure."""

_LOGIN_IN_URL = re.compile(r"//[^\s/?#@]*@")
"""A user, with or without a password, before a URL's host."""
_LOGIN = re.compile(
    rf"{_LOGIN_IN_URL.pattern}"
    r"|[^\s:/@]+:[^\s/@]+@(?!sha256:)"
    rf"|--({'|'.join(_SECRET_FLAGS)})\b(?!-)"
    r"|password|--datastore-endpoint=.*@"
)
"""What may be a secret in a text that breaks any other rule."""


class RuleError(ValueError):
    """A value breaks a rule: the text says which, ``cure`` what to write instead."""

    def __init__(self, rule: str, cure: str = "") -> None:
        self.cure = cure
        super().__init__(rule)


def may_hold_a_secret(text: str) -> bool:
    """Whether ``text`` looks as if it has a login or a token, so that no message repeats it."""
    return bool(_LOGIN.search(text))


NODE_FILTER = re.compile(r"all|(server|agent)s?:(?:\*|(\d+(?:,\d+)*|\d*-\d*))", re.ASCII)
"""k3d's node filters without the load balancer, which no stack has. k3d reads a role without a
subset and refuses it later (k3d v5.9.0 pkg/util/filter.go)."""
_PUBLISHED = re.compile(r"(\d{1,5}):(\d{1,5})(?:/(tcp|udp))?\Z", re.ASCII)
_IMAGE = re.compile(r"[a-z0-9][\w./:-]*(:[\w.-]+|@sha256:[0-9a-f]{64})\Z", re.ASCII)
_MIRROR = re.compile(
    r"(localhost|[\w-]+(\.[\w-]+)+|[\w.-]+(?=:))(:\d{1,5})?(/[a-z0-9][a-z0-9._-]*)*\Z", re.ASCII
)
"""A host with a dot or a port, or localhost: Docker takes another first name for a part of an
image's name on Docker Hub."""
_REGISTRY = re.compile(r"[A-Za-z0-9.-]+(:[0-9]{1,5})?\Z")
"""As k3d reads it, without a protocol (k3d v5.9.0 pkg/util/registry.go)."""


def _release(text: object) -> object:
    return Version.parse(text) if isinstance(text, str) else text


def since(oldest: Version, why: str) -> AfterValidator:
    def check(version: Version) -> Version:
        if version < oldest:
            raise RuleError(f"{oldest} is the oldest supported release; {why}")
        return version

    return AfterValidator(check)


def _image(text: str) -> str:
    if text and not _IMAGE.match(text):
        raise RuleError("an image needs a tag or a digest", "write NAME:TAG or NAME@sha256:DIGEST")
    return text


def _versioned_image(text: str) -> str:
    _image(text.replace("{version}", "1.2.3"))
    return text


def _registry_configuration(text: str) -> str:
    """``text`` with a line break: k3d takes one without for the path of a file (k3d v5.9.0
    pkg/config/transform.go).

    Raises RuleError for a login too: it would be kept in Pulumi's state.
    """
    try:
        document = yaml.safe_load(_without_dollar(text)) or {}
        endpoints = [
            _field(mirror, "endpoint") or [] for _, mirror in _entries(document, "mirrors")
        ]
        logins = [name for name, _ in _entries(document, "auths")] + [
            name for name, config in _entries(document, "configs") if _field(config, "auth")
        ]
    except (yaml.YAMLError, AttributeError, TypeError):
        raise RuleError("it is not the text of a registries.yaml, a mapping in YAML") from None
    if not all(isinstance(urls, list) for urls in endpoints):
        raise RuleError("the endpoint of a mirror is a list", "write endpoint: [https://HOST]")
    if logins:
        named = ", ".join("a registry" if "@" in name else name for name in logins)
        raise RuleError(
            f"its login for {named} would be kept in Pulumi's state in plain text",
            "bring images to the nodes with `docker pull` and `k3d image import`",
        )
    urls = [str(url) for listed in endpoints for url in listed]
    if any("@" in _authority(url) for url in urls):
        raise RuleError(
            "the URL of a mirror has a login, which would be kept in Pulumi's state in plain text",
            "leave the login out",
        )
    return text if not text or "\n" in text else f"{text}\n"


def _entries(document: Mapping[str, Any], name: str) -> list[tuple[str, Mapping[str, Any]]]:
    return [(str(key), value or {}) for key, value in (_field(document, name) or {}).items()]


def _field(document: Mapping[str, Any], name: str) -> Any:
    """As Go's JSON decoder finds it, which k3d uses: in upper or lower case."""
    return next((value for key, value in document.items() if str(key).lower() == name), None)


def _authority(url: str) -> str:
    """The part of a URL with the host, which may begin with a login; the scheme may be missing."""
    return re.split(r"[/?#]", url.rpartition("//")[2], maxsplit=1)[0]


def _without_dollar(text: str) -> str:
    if "$" in text:
        raise RuleError("k3d expands a $ in its configuration", "leave the $ out")
    return text


def _k3s_argument(text: str) -> str:
    if not text.startswith("--"):
        raise RuleError(
            "an argument of k3s begins with --", "for instance --disable=traefik@server:*"
        )
    argument, filters = split_k3s_argument(text)
    _refuse_secrets(argument if all(map(NODE_FILTER.fullmatch, filters)) else text)
    flag, given, value = argument[2:].partition("=")
    if re.search(r"\s", flag):
        cure = f"write --{flag.split()[0]}=VALUE" if flag.split() else ""
        raise RuleError("k3s reads a flag with a blank in its name", cure)
    if flag in _VALUE_FLAGS and not given:
        raise RuleError(f"--{flag} needs a value", f"write --{flag}=VALUE")
    if flag.endswith("-arg"):
        _refuse_reserved(flag, value)
    for node_filter in filters:
        _refuse_filter(node_filter)
    return _without_dollar(text)


def _refuse_secrets(argument: str) -> None:
    """A token or login: it could be read in Pulumi's state and in the nodes' containers."""
    flag, _, value = argument[2:].partition("=")
    flag = re.split(r"\s", flag, maxsplit=1)[0]
    readable = "would be readable in Pulumi's state and in `docker inspect`"
    if flag in _SECRET_FLAGS:
        raise RuleError(f"the value of --{flag} {readable}", _SECRET_FLAGS[flag])
    if flag == "datastore-endpoint" and re.search("@|password", value):
        raise RuleError(
            f"the login in --{flag} {readable}",
            "log in with a certificate: --datastore-certfile and --datastore-keyfile",
        )
    if _LOGIN_IN_URL.search(argument):
        raise RuleError(f"the login in a URL of --{flag} {readable}", "leave the login out")


def _refuse_reserved(flag: str, setting: str) -> None:
    """``setting`` as k3s reads it: with or without dashes before its name, and with + or - after
    it to extend a value (k3s pkg/util/args.go); components read ``_`` as ``-`` (component-base
    v0.36.3 cli/flag/flags.go)."""
    name, given, value = setting.partition("=")
    name = name.removeprefix("--").rstrip("+-").replace("_", "-")
    if reserved := _RESERVED_SETTINGS.get((flag, name)):
        raise RuleError(*reserved)
    if name != "feature-gates" or not given:
        return
    for entry in filter(None, value.split(",")):
        gate, _, chosen = (part.strip() for part in entry.partition("="))
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


def _published_port(text: str) -> str:
    match = _PUBLISHED.match(text)
    if not match or not all(0 < int(port) < 65536 for port in match.group(1, 2)):
        raise RuleError("a published port is HOSTPORT:NODEPORT[/tcp|/udp]", "for instance 8080:80")
    return text


def host_port(entry: object) -> tuple[int, str] | None:
    """The host's port of an entry of publishedPorts and its protocol; None for what is no entry."""
    match = _PUBLISHED.match(str(entry))
    return (int(match[1]), match[3] or "tcp") if match else None


def tcp_port(entry: object) -> int | None:
    """The host's TCP port of an entry of publishedPorts; None for UDP or what is not an entry."""
    port, protocol = host_port(entry) or (None, "")
    return port if protocol == "tcp" else None


def _registry_mirror(text: str) -> str:
    if "@" in text:
        raise RuleError(
            "it has a login, which would be kept in Pulumi's state in plain text",
            "leave the login out",
        )
    if text and not _MIRROR.match(text):
        raise RuleError(
            "a mirror is HOST[:PORT][/PATH] without https://, and HOST has a dot or a port",
            "for instance registry.example/proxy",
        )
    return text


def _odd(servers: int) -> int:
    if servers % 2 == 0:
        raise RuleError(
            "etcd needs an odd number of members to keep a majority",
            f"use {servers - 1} or {servers + 1}",
        )
    return servers


def _registry(text: str) -> str:
    if not _REGISTRY.match(text):
        raise RuleError("a registry is NAME or NAME:PORT")
    return text


Port = Annotated[int, Field(ge=1024, le=65535)]
PerMillion = Annotated[int, Field(ge=0, le=1_000_000)]
Image = Annotated[str, AfterValidator(_image)]
VersionedImage = Annotated[str, AfterValidator(_versioned_image)]
"""An image in which ``{version}`` stands for the release that it belongs to."""
Release = Annotated[Version, BeforeValidator(_release)]
Servers = Annotated[int, Field(ge=1, le=5), AfterValidator(_odd)]
K3sArgument = Annotated[str, AfterValidator(_k3s_argument)]
PublishedPort = Annotated[str, AfterValidator(_published_port)]
Registry = Annotated[str, AfterValidator(_registry)]
RegistryMirror = Annotated[str, AfterValidator(_registry_mirror)]
RegistryConfiguration = Annotated[str, AfterValidator(_registry_configuration)]
