"""What one value of the configuration may be: types that refuse with the rule and the cure."""

from __future__ import annotations

import re
from typing import Annotated

import yaml
from pydantic import AfterValidator, BeforeValidator, Field

from runtime_observability.core import compatibility
from runtime_observability.core.versions import Version

_RESERVED_ARGUMENTS = {
    r"tracing-config-file=": (
        "the stack sets the API server's tracing file",
        "set apiserverSamplingPerMillion instead",
    ),
    r"config=": ("the stack sets the kubelet's file", "pass single kubelet flags"),
    **{
        rf"feature-gates=.*\b{gate}\b": (f"feature gate {gate} is {why}", "leave it out")
        for gate, why in compatibility.FORBIDDEN_GATES.items()
    },
}
"""What may not be passed to a component, as a pattern, with the reason and the cure."""


class RuleError(ValueError):
    """A value breaks a rule: the text says which, ``cure`` what to write instead."""

    def __init__(self, rule: str, cure: str = "") -> None:
        self.cure = cure
        super().__init__(rule)


NODE_FILTER = re.compile(r"all|(server|agent)s?(?::(?:\*|(\d+(?:,\d+)*|\d*-\d*)))?")
"""k3d's node filters without the load balancer, which no stack has (k3d v5.9.0
pkg/util/filter.go)."""
PUBLISHED = re.compile(r"(\d{1,5}):(\d{1,5})(?:/(tcp|udp))?\Z")
_IMAGE = re.compile(r"[a-z0-9][\w./:-]*(:[\w.-]+|@sha256:[0-9a-f]{64})\Z")
_MIRROR = re.compile(
    r"(localhost|[\w-]+(\.[\w-]+)+|[\w.-]+(?=:))(:\d{1,5})?(/[a-z0-9][a-z0-9._-]*)*\Z"
)
"""A host with a dot or a port, or localhost: Docker takes another first name for a part of an
image's name on Docker Hub."""
_REGISTRY = re.compile(r"[\w.-]+(:\d{1,5})?\Z")


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
    """Raises RuleError for a login too: it would be kept in Pulumi's state."""
    try:
        document = yaml.safe_load(_without_dollar(text)) or {}
        configs = (document.get("configs") or {}).items()
        logins = [name for name, config in configs if "auth" in (config or {})]
    except (yaml.YAMLError, AttributeError, TypeError):
        raise RuleError("it is not the text of a registries.yaml, a mapping in YAML") from None
    if logins:
        raise RuleError(
            f"its login for {', '.join(logins)} would be kept in Pulumi's state in plain text",
            "bring images to the nodes with `docker pull` and `k3d image import`",
        )
    return text


def _without_dollar(text: str) -> str:
    if "$" in text:
        raise RuleError("k3d expands a $ in its configuration", "leave the $ out")
    return text


def _k3s_argument(text: str) -> str:
    if not text.startswith("--"):
        raise RuleError(
            "an argument of k3s begins with --", "for instance --disable=traefik@server:*"
        )
    for reserved, (why, cure) in _RESERVED_ARGUMENTS.items():
        if re.match(reserved, text.partition("=")[2]):
            raise RuleError(why, cure)
    for node_filter in split_k3s_argument(text)[1]:
        if not NODE_FILTER.fullmatch(node_filter):
            raise RuleError(
                f"{node_filter!r} after its last @ is not a node filter",
                "write server:*, agent:0 or all",
            )
    return _without_dollar(text)


def split_k3s_argument(text: str) -> tuple[str, list[str]]:
    """Splits ``ARG@NODEFILTER;NODEFILTER``, k3d's own notation; without a filter: the servers."""
    argument, _, filters = text.rpartition("@")
    return (argument, filters.split(";")) if argument else (text, ["server:*"])


def _published_port(text: str) -> str:
    match = PUBLISHED.match(text)
    if not match or not all(0 < int(port) < 65536 for port in match.group(1, 2)):
        raise RuleError("a published port is HOSTPORT:NODEPORT[/tcp|/udp]", "for instance 8080:80")
    return text


def tcp_port(entry: object) -> int | None:
    """The host's TCP port of an entry of publishedPorts; None for UDP or what is not an entry."""
    match = PUBLISHED.match(str(entry))
    return int(match[1]) if match and match[3] != "udp" else None


def _registry_mirror(text: str) -> str:
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
