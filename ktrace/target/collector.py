"""Which collector takes the spans of a command: an option's, the stack's, or the environment's.

The variables are those of OpenTelemetry's exporters:
https://opentelemetry.io/docs/specs/otel/protocol/exporter/.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from urllib.parse import unquote

from ktrace.addresses import without_login
from ktrace.errors import UsageError
from ktrace.otlp import Collector
from ktrace.target.target import Target, is_url
from ktrace.text import clean

_ANY, _TRACES = "OTEL_EXPORTER_OTLP_", "OTEL_EXPORTER_OTLP_TRACES_"
_ENDPOINT, _PROTOCOL, _HEADERS = "ENDPOINT", "PROTOCOL", "HEADERS"
_EXPORTER, _DISABLED = "OTEL_TRACES_EXPORTER", "OTEL_SDK_DISABLED"
_HTTP = ("http/protobuf", "http/json")
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""Of a header: RFC 9110, 5.6.2."""
_NONE = "the command has no trace of its own"


def choose(target: Target, given: str | None, environment: Mapping[str, str]) -> Collector | str:
    """The collector, or why none is known; ``given`` is --otlp's value.

    UsageError if that is no address.
    """
    if given is not None:
        if not is_url(given):
            raise UsageError(
                f"--otlp {_told(given)} is not http://HOST:PORT, where a collector takes OTLP over "
                "HTTP"
            )
        return Collector.at(given)
    if target.collector:
        return Collector.at(target.collector)
    return _of_environment(environment)


def _of_environment(environment: Mapping[str, str]) -> Collector | str:
    key = next((of + _ENDPOINT for of in (_TRACES, _ANY) if environment.get(of + _ENDPOINT)), "")
    if not key:
        return (
            f"{_NONE}, as no collector is known that takes its spans: --stack NAME or --otlp URL "
            "names one"
        )
    for switch, value in ((_EXPORTER, "none"), (_DISABLED, "true")):
        if environment.get(switch, "").lower() == value:
            return f"{_NONE}: {switch} is {value}. --otlp URL names a collector all the same"
    protocol = next((k for k in (_TRACES, _ANY) if environment.get(k + _PROTOCOL)), "") + _PROTOCOL
    if (told := environment.get(protocol, _HTTP[0])) not in _HTTP:
        return (
            f"{_NONE}: {protocol} is {clean(told)}, and ktrace speaks OTLP over HTTP: name the "
            "collector's other port, which is 4318 as a rule, with --otlp URL"
        )
    url = environment[key]
    if not is_url(url):
        return f"{_NONE}: {key} {_told(url)} is not http://HOST:PORT"
    headers = dict(_headers(environment))
    if key.startswith(_TRACES):
        return Collector(url, headers)
    return Collector(Collector.at(url).url, headers)


def _headers(environment: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """``NAME=VALUE`` with commas between them, percent-encoded; what is no header is left out."""
    keys = (of + _HEADERS for of in (_TRACES, _ANY))
    text = next(filter(None, (environment.get(key) for key in keys)), "")
    for part in text.split(","):
        name, equals, value = part.partition("=")
        name, value = name.strip(), unquote(value.strip())
        if equals and _NAME.fullmatch(name) and value.isascii() and value.isprintable():
            yield name, value


def _told(url: str) -> str:
    return repr(clean(without_login(url)))
