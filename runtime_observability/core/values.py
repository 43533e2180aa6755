"""What one value of the configuration may be: types that refuse with the rule and the cure."""

from __future__ import annotations

import re
from typing import Annotated

import yaml
from pydantic import AfterValidator, BeforeValidator, Field

from runtime_observability.core import compatibility
from runtime_observability.core.versions import Version

_OWNED_ARGUMENTS = {
    r"tracing-config-file=": "set apiserverSamplingPerMillion instead",
    r"config=": "the kubelet's file is the stack's own; pass single kubelet flags",
    **{
        rf"feature-gates=.*\b{gate}\b": f"the gate is {why}"
        for gate, why in compatibility.FORBIDDEN_GATES.items()
    },
}
"""What may not be passed to a component, as a pattern, and what to do instead."""

NODE_FILTER = re.compile(r"all|(server|agent)s?(?::(?:\*|(\d+(?:,\d+)*|\d*-\d*)))?")
"""k3d's, without the load balancer that is never there (k3d v5.9.0 pkg/util/filter.go)."""
PUBLISHED = re.compile(r"(\d{1,5}):(\d{1,5})(?:/(tcp|udp))?\Z")
_IMAGE = re.compile(r"[a-z0-9][\w./:-]*(:[\w.-]+|@sha256:[0-9a-f]{64})\Z")
_REGISTRY = re.compile(r"[\w.-]+(:\d{1,5})?\Z")


def _release(text: object) -> object:
    return Version.parse(text) if isinstance(text, str) else text


def since(oldest: Version, why: str) -> AfterValidator:
    def check(version: Version) -> Version:
        if version < oldest:
            raise ValueError(f"{oldest} is the oldest that can be used: {why}")
        return version

    return AfterValidator(check)


def _image(text: str) -> str:
    if text and not _IMAGE.match(text):
        raise ValueError("an image is written NAME:TAG or NAME@sha256:DIGEST, never without either")
    return text


def _versioned_image(text: str) -> str:
    _image(text.replace("{version}", "1.2.3"))
    return text


def _registry_configuration(text: str) -> str:
    """Raises ValueError for what holds a login, too: it would stand in Pulumi's state."""
    try:
        document = yaml.safe_load(_without_dollar(text)) or {}
        configs = (document.get("configs") or {}).items()
        logins = [name for name, each in configs if "auth" in (each or {})]
    except (yaml.YAMLError, AttributeError, TypeError):
        raise ValueError("it is not the text of a registries.yaml, a mapping in YAML") from None
    if logins:
        raise ValueError(
            f"it has a login for {', '.join(logins)}, which would be kept in the clear in Pulumi's "
            "state: `docker pull` with that login and `k3d image import` bring images to the nodes"
        )
    return text


def _without_dollar(text: str) -> str:
    if "$" in text:
        raise ValueError("it has a $, which k3d expands in its configuration")
    return text


def _k3s_argument(text: str) -> str:
    if not text.startswith("--"):
        raise ValueError("it does not begin with --; write it as --disable=traefik@server:*")
    for owned, instead in _OWNED_ARGUMENTS.items():
        if re.match(owned, text.partition("=")[2]):
            raise ValueError(f"it belongs to the stack: {instead}")
    for each in split_k3s_argument(text)[1]:
        if not NODE_FILTER.fullmatch(each):
            raise ValueError(
                f"{each!r} after its last @ is no node filter: write server:*, agent:0 or all"
            )
    return _without_dollar(text)


def split_k3s_argument(text: str) -> tuple[str, list[str]]:
    """``ARG@NODEFILTER;NODEFILTER`` as k3d's own flag has it; without a filter, the servers."""
    argument, _, filters = text.rpartition("@")
    return (argument, filters.split(";")) if argument else (text, ["server:*"])


def _published_port(text: str) -> str:
    match = PUBLISHED.match(text)
    if not match or not all(0 < int(port) < 65536 for port in match.group(1, 2)):
        raise ValueError("it is not HOSTPORT:NODEPORT[/tcp|/udp], for instance 8080:80")
    return text


def _odd(servers: int) -> int:
    if servers % 2 == 0:
        raise ValueError(
            "etcd needs an odd number of members to keep a majority; "
            f"the nearest are {servers - 1} and {servers + 1}"
        )
    return servers


def _registry(text: str) -> str:
    if not _REGISTRY.match(text):
        raise ValueError("a registry is written NAME or NAME:PORT")
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
RegistryConfiguration = Annotated[str, AfterValidator(_registry_configuration)]
