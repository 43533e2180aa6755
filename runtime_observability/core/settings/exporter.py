"""An entry of ``exporters``: a further OTLP destination of the collector, and what it may be."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Literal
from urllib.parse import SplitResult, urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic.alias_generators import to_camel

from runtime_observability.core import naming
from runtime_observability.core.component import Component
from runtime_observability.core.settings import collector_yaml, secret_texts, urls
from runtime_observability.core.settings.rule import RuleError

Protocol = Literal["grpc", "http"]
Signal = Literal["traces", "metrics", "logs"]
Queue = Literal["memory", "disk"]

OF_JAEGER = "jaeger"
"""The name of the stack's own destination."""
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?")
_HEADER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*", re.ASCII)
_OF_THE_PROTOCOL = frozenset(
    {"connection", "content-encoding", "content-length", "content-type", "host", "te",
     "transfer-encoding", "user-agent"}
)  # fmt: skip
PEM = "-----BEGIN "
"""How the text of a certificate or key begins; any other text is the path of a file."""
HIDDEN = f"[secret] {PEM}PEM"
"""Stands for a header, certificate or key that Pulumi alone can decrypt."""


def _name(text: str) -> str:
    if text == OF_JAEGER:
        raise RuleError("it is the name of the stack's own Jaeger", "choose another name")
    if text and not _NAME.fullmatch(text):
        raise RuleError("a name has up to 32 lower-case letters, digits and -", "for instance team")
    return text


def _headers(headers: Mapping[str, str]) -> Mapping[str, str]:
    """Raises RuleError without the value of any header."""
    seen: set[str] = set()
    for name, value in headers.items():
        lower = name.lower()
        if not _HEADER.fullmatch(name):
            raise RuleError(
                f"the name of header {name!r} has characters beside letters, digits, -, _ and .",
                "for instance authorization",
            )
        if lower in _OF_THE_PROTOCOL or lower.startswith("grpc-"):
            raise RuleError(f"the protocol itself sets the header {name}", "leave it out")
        if lower in seen:
            raise RuleError(f"the header {name} is there twice", "keep one of them")
        if not value:
            raise RuleError(f"the header {name} has no value", "leave it out or give it a value")
        if not (value.isascii() and value.isprintable()):
            raise RuleError(
                f"the value of the header {name} has a line break or a character that no header "
                "can have",
                "a value has printable ASCII characters",
            )
        if value != value.strip():
            raise RuleError(
                f"the value of the header {name} begins or ends with a blank", "leave it out"
            )
        if collector_yaml.is_refused(value):
            raise RuleError(
                f"the collector reads the value of the header {name} as YAML, and stops at a map "
                "with a number or nothing as a key",
                "choose a value without `: ` and without a single ?",
            )
        seen.add(lower)
    return headers


def _signals(signals: tuple[Signal, ...]) -> tuple[Signal, ...]:
    if not signals:
        raise RuleError("nothing would be sent", "leave it out, which is [traces]")
    return signals


def _no_truth(value: object) -> object:
    """Python takes true for 1."""
    if isinstance(value, bool):
        raise RuleError("it is a number of traces, from 1 to 1000000")
    return value


def _certificate(text: str) -> str:
    if "PRIVATE KEY" in text:
        raise RuleError("it is a private key, not a certificate", "the key belongs to clientKey")
    return text


class _Model(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, coerce_numbers_to_str=True
    )


class Tls(_Model):
    """``ca_file``, ``client_cert`` and ``client_key``: the path of a PEM file, or its text."""

    ca_file: Annotated[str, AfterValidator(_certificate)] = ""
    client_cert: Annotated[str, AfterValidator(_certificate)] = ""
    client_key: str = ""
    insecure: bool = False
    """Whether nothing is encrypted."""

    @model_validator(mode="after")
    def _fits(self) -> Tls:
        if self.insecure and (self.ca_file or self.client_cert or self.client_key):
            raise RuleError(
                "insecure sends without TLS, which uses no certificate",
                "leave out insecure, or caFile, clientCert and clientKey",
            )
        if bool(self.client_cert) != bool(self.client_key):
            missing = "clientKey" if self.client_cert else "clientCert"
            raise RuleError(f"a client certificate needs {missing} too", f"set {missing}")
        return self


class Exporter(_Model):
    """A destination beside Jaeger. Messages never repeat a header's value or a key."""

    name: Annotated[str, AfterValidator(_name)] = ""
    protocol: Protocol = "grpc"
    tls: Tls = Tls()
    endpoint: str
    headers: Annotated[Mapping[str, str], AfterValidator(_headers)] = {}
    compression: Literal["gzip", "zstd", "snappy", "none"] = "gzip"
    signals: Annotated[tuple[Signal, ...], AfterValidator(_signals)] = ("traces",)
    only: tuple[Component, ...] = ()
    """The services whose telemetry is sent; empty for all."""
    queue: Queue = "memory"
    """Where what the destination has not taken waits. On disk it outlives the collector."""
    sampling_per_million: Annotated[int, BeforeValidator(_no_truth), Field(ge=1, le=1_000_000)] = (
        1_000_000
    )

    @field_validator("endpoint")
    @classmethod
    def _endpoint(cls, endpoint: str, info: ValidationInfo) -> str:
        """The fields before it are absent where they cannot be used themselves."""
        match info.data.get("protocol"):
            case "grpc":
                _refuse_no_host_and_port(endpoint)
            case "http":
                return _url(endpoint, info.data.get("tls", Tls()))
        return endpoint

    @field_validator("sampling_per_million")
    @classmethod
    def _sampling(cls, per_million: int, info: ValidationInfo) -> int:
        if per_million < 1_000_000 and "traces" not in info.data.get("signals", ("traces",)):
            raise RuleError(
                "it is about traces, which this exporter does not get",
                "add traces to signals, or leave out samplingPerMillion",
            )
        return per_million

    @property
    def address(self) -> SplitResult:
        """Its host, in lower case, and its port, if one is written."""
        return urlsplit(self.endpoint if "://" in self.endpoint else f"//{self.endpoint}")

    @property
    def destination(self) -> tuple[object, ...]:
        """What another exporter to the same destination has, too."""
        address = self.address
        sent = {name.lower(): value for name, value in self.headers.items()}
        who = (sent, self.tls.client_cert)
        return address.hostname, address.port, address.path.rstrip("/"), who

    def overlaps(self, other: Exporter) -> bool:
        """Whether both get some telemetry."""
        own, others = set(self.only or other.only), set(other.only or self.only)
        return bool({*self.signals} & {*other.signals} and (own == others or own & others))

    @property
    def label(self) -> str:
        """Its name, or one made of the endpoint's host."""
        if self.name:
            return self.name
        host = str(self.address.hostname).lower()
        return re.sub(r"[^a-z0-9]+", "-", host).strip("-")[:32].strip("-")


def _refuse_no_host_and_port(endpoint: str) -> None:
    if "://" in endpoint:
        raise RuleError(
            "the endpoint of protocol grpc has no scheme: it uses TLS unless tls.insecure is true",
            "write HOST:PORT, or set protocol to http",
        )
    found = urls.host_and_port(endpoint)
    if not found or not found[1]:
        raise RuleError(
            "the endpoint of protocol grpc is HOST:PORT, with a PORT up to 65535",
            "for instance collector.example:4317",
        )
    _refuse_this_collector(found[0])


def _url(endpoint: str, tls: Tls) -> str:
    if secret_texts.LOGIN_IN_URL.search(endpoint):
        raise RuleError("the endpoint has a login, which every message would show", "use headers")
    url = urls.parts(endpoint, "the endpoint of protocol http", "https://collector.example:4318")
    _refuse_this_collector(str(url.hostname))
    if re.search(r"/v1/(traces|metrics|logs)/?$", url.path):
        raise RuleError(
            "the collector appends the path of each signal, for instance /v1/traces",
            "leave that path out",
        )
    if url.scheme == "https" and tls.insecure:
        raise RuleError("https:// is with TLS, and tls.insecure without", "use one of them")
    if url.scheme == "http" and tls != Tls() and not tls.insecure:
        raise RuleError("http:// is without TLS, and uses no certificate", "write https://")
    return url.geturl()


def _refuse_this_collector(host: str) -> None:
    """It would receive what it sends, and send it again without an end."""
    urls.refuse_own_container(host, "the collector")
    if host.lower().rstrip(".") == naming.COLLECTOR_ALIAS:
        raise RuleError(
            f"{host} is the stack's own collector, which would send to itself",
            "name another destination",
        )
