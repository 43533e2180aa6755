"""What one value of the configuration may be: types that refuse with the rule and the cure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any

import yaml
from pydantic import AfterValidator, BeforeValidator, Field

from runtime_observability.core import presets
from runtime_observability.core.naming import MOST_AGENTS
from runtime_observability.core.settings import secret_texts, urls
from runtime_observability.core.settings.k3s_arguments import k3s_argument
from runtime_observability.core.settings.node_extras import node_environment, node_volume
from runtime_observability.core.settings.rule import RuleError, without_dollar
from runtime_observability.core.stores import retention
from runtime_observability.core.versions import Version

_PUBLISHED = re.compile(r"(\d{1,5}):(\d{1,5})(?:/(tcp|udp))?\Z", re.ASCII)
_IMAGE = re.compile(r"[a-z0-9][\w./:-]*(:[\w.-]+|@sha256:[0-9a-f]{64})\Z", re.ASCII)
_MIRROR = re.compile(
    r"(localhost|[\w-]+(\.[\w-]+)+|[\w.-]+(?=:))(:\d{1,5})?(/[a-z0-9][a-z0-9._-]*)*\Z", re.ASCII
)
"""A host with a dot or a port, or localhost: Docker takes another first name for a part of an
image's name on Docker Hub."""
_ORIGIN = re.compile(r"https?://([\w.*-]+|\[[0-9a-f:]+\])(:(\d{1,5}|\*))?", re.ASCII)
_OWNER = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._/-]{0,61}[A-Za-z0-9])?", re.ASCII)
_REGISTRY = re.compile(r"[A-Za-z0-9.-]+(:[0-9]{1,5})?\Z")
"""As k3d reads it, without a protocol (k3d v5.9.0 pkg/util/registry.go)."""


_MOST_DIGITS = 9

_STORE_PATH = re.compile(r"(/[\w.~-]+)*/?", re.ASCII)
_VERSION = "{version}"
_HOW_TO_NAME_AN_IMAGE = "write NAME:TAG or NAME@sha256:DIGEST"


def _release(text: object) -> object:
    return Version.parse(text) if isinstance(text, str) else text


def since(oldest: Version, why: str) -> AfterValidator:
    def check(version: Version) -> Version:
        if version < oldest:
            raise RuleError(f"{oldest} is the oldest supported release; {why}")
        return version

    return AfterValidator(check)


def _image(text: str) -> str:
    if _VERSION in text:
        raise RuleError(
            "{version} stands for nothing here: no key has a release of this image",
            _HOW_TO_NAME_AN_IMAGE,
        )
    if text and not _IMAGE.match(text):
        raise RuleError("an image needs a tag or a digest", _HOW_TO_NAME_AN_IMAGE)
    return text


def _versioned_image(text: str) -> str:
    _image(text.replace(_VERSION, "1.2.3"))
    return text


def _registry_configuration(text: str) -> str:
    """``text`` with a line break: k3d takes one without for the path of a file (k3d v5.9.0
    pkg/config/transform.go).

    Raises RuleError for a login too: it would be kept in Pulumi's state.
    """
    try:
        document = yaml.safe_load(without_dollar(text)) or {}
        mirrors, configs = _entries(document, "mirrors"), _entries(document, "configs")
        endpoints = [urls for _, mirror in mirrors for urls in _fields(mirror, "endpoint")]
        logins = [name for name, _ in _entries(document, "auths")] + [
            name for name, config in configs if _fields(config, "auth")
        ]
    except (yaml.YAMLError, AttributeError, RecursionError, TypeError):
        raise RuleError("it is not the text of a registries.yaml, a mapping in YAML") from None
    if not all(isinstance(urls, list) for urls in endpoints):
        raise RuleError("the endpoint of a mirror is a list", "write endpoint: [https://HOST]")
    if logins:
        named = ", ".join("a registry" if "@" in name else name for name in logins)
        raise RuleError(
            f"its login for {named} would be kept in Pulumi's state in plain text",
            "bring images to the nodes with `docker pull` and `k3d image import`",
        )
    if any("@" in str(url) for urls in endpoints for url in urls):
        raise RuleError(
            "the URL of a mirror has a login, which would be kept in Pulumi's state in plain text",
            "leave the login out",
        )
    return text if not text or "\n" in text else f"{text}\n"


def _entries(document: Mapping[str, Any], name: str) -> list[tuple[str, Mapping[str, Any]]]:
    return [
        (str(key), value or {})
        for entries in _fields(document, name)
        for key, value in entries.items()
    ]


def _fields(document: Mapping[str, Any], name: str) -> list[Any]:
    """What Go's JSON decoder, which k3d uses, takes for that field: in upper and lower case, each
    time that it is there. Without what is empty."""
    return [value for key, value in document.items() if str(key).lower() == name and value]


def _published_port(text: str) -> str:
    match = _PUBLISHED.match(text)
    if not match or not all(0 < int(port) < 65536 for port in match.group(1, 2)):
        raise RuleError("a published port is HOSTPORT:NODEPORT[/tcp|/udp]", "for instance 8080:80")
    return text


def host_port(entry: object) -> tuple[int, str] | None:
    """The host's port of an entry of publishedPorts and its protocol; None for what is no entry."""
    match = _PUBLISHED.match(str(entry))
    return (int(match[1]), match[3] or "tcp") if match else None


def whole_number(value: object) -> int | None:
    """The number that ``value`` is or is the text of; None where no port can come of it."""
    text = str(value)
    return int(text) if text.isdecimal() and len(text) <= _MOST_DIGITS else None


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


def _origin(text: str) -> str:
    """The receiver takes a second * for itself (github.com/rs/cors v1.11.1 cors.go)."""
    if text != "*" and (not _ORIGIN.fullmatch(text) or text.count("*") > 1):
        raise RuleError(
            "an origin is http://HOST[:PORT] or https://HOST[:PORT] without a path, and one * "
            "stands for any text",
            "for instance http://localhost:*",
        )
    return text


def _stack_owner(text: str) -> str:
    if text and not _OWNER.fullmatch(text):
        raise RuleError(
            "an owner is 1 to 63 letters, digits and . _ / - between them",
            "for instance ada or ci/1234",
        )
    return text


def _store_url(text: str) -> str:
    """``text`` without a slash at its end."""
    if secret_texts.LOGIN_IN_URL.search(text):
        raise RuleError(
            "it has a login, which every message would show",
            "use traceStoreUser and traceStorePassword",
        )
    url = urls.parts(text, "the URL of a store", "https://search.example:9200")
    if not _STORE_PATH.fullmatch(url.path):
        raise RuleError(
            "the path in the URL of a store has letters, digits and . _ ~ - between single slashes"
        )
    urls.refuse_own_container(str(url.hostname), "Jaeger")
    return url.geturl().rstrip("/")


def _cassandra_server(text: str) -> str:
    server = urls.host_and_port(text)
    if not server or text.endswith("]"):
        raise RuleError(
            "a server of Cassandra is HOST, HOST:PORT or [IPv6]:PORT, with a PORT up to 65535",
            "for instance cassandra.example:9042",
        )
    urls.refuse_own_container(server[0], "Jaeger")
    return text


def _store_user(text: str) -> str:
    if not text.isprintable() or ":" in text or "$" in text or text != text.strip():
        raise RuleError(
            "a user has no colon, no $, no line break, and no blank at an end",
            "for instance jaeger",
        )
    return text


def _store_password(text: str) -> str:
    """Raises RuleError without the password."""
    if not text.isprintable() or text != text.strip():
        raise RuleError(
            "it has a line break or another control character, or a blank at an end",
            "a password has printable characters alone",
        )
    return text


def _store_certificates(text: str) -> str:
    if "PRIVATE KEY" in text:
        raise RuleError("it has a private key", "name certificates alone")
    return text


def _duration(text: str) -> str:
    if presets.milliseconds(text) is None:
        raise RuleError(
            f"a duration is a number and ms, s or m, from 1ms to {presets.HELD_SECONDS // 60}m: "
            "the collector holds no trace back for longer",
            "for instance 500ms or 2s",
        )
    return text


def _query_url(text: str) -> str:
    """``text`` without a slash at its end."""
    if secret_texts.LOGIN_IN_URL.search(text):
        raise RuleError(
            "it has a login, which the outputs would show",
            "leave the login out, or name a proxy on this machine that adds it",
        )
    if not text:
        return text
    url = urls.parts(text, "the address of a Jaeger", "https://jaeger.example")
    return url.geturl().rstrip("/")


Port = Annotated[int, Field(ge=1024, le=65535)]
PerMillion = Annotated[int, Field(ge=0, le=1_000_000)]
Image = Annotated[str, AfterValidator(_image)]
VersionedImage = Annotated[str, AfterValidator(_versioned_image)]
"""An image in which ``{version}`` stands for the release that it belongs to."""
Release = Annotated[Version, BeforeValidator(_release)]
Agents = Annotated[int, Field(ge=0, le=MOST_AGENTS)]
Servers = Annotated[int, Field(ge=1, le=5), AfterValidator(_odd)]
K3sArgument = Annotated[str, AfterValidator(k3s_argument)]
PublishedPort = Annotated[str, AfterValidator(_published_port)]
Origin = Annotated[str, AfterValidator(_origin)]
QueryUrl = Annotated[str, AfterValidator(_query_url)]
StackOwner = Annotated[str, AfterValidator(_stack_owner)]
Registry = Annotated[str, AfterValidator(_registry)]
RegistryMirror = Annotated[str, AfterValidator(_registry_mirror)]
NodeEnvironment = Annotated[Mapping[str, str], AfterValidator(node_environment)]
NodeVolume = Annotated[str, AfterValidator(node_volume)]
Retention = Annotated[str, AfterValidator(retention)]
"""Hours, as 48h."""
StoreUrl = Annotated[str, AfterValidator(_store_url)]
"""Without a slash at its end."""
CassandraServer = Annotated[str, AfterValidator(_cassandra_server)]
StoreUser = Annotated[str, AfterValidator(_store_user)]
StorePassword = Annotated[str, AfterValidator(_store_password)]
StoreCertificates = Annotated[str, AfterValidator(_store_certificates)]
Duration = Annotated[str, AfterValidator(_duration)]
RegistryConfiguration = Annotated[str, AfterValidator(_registry_configuration)]
