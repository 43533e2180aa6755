"""What one cluster sends to Jaeger in some hours: recorded traffic, with fresh ids and times.

Each minute is one of a real k3s at rest, and in each a pod starts. Everything that identifies is
new in each copy: traces, spans, requests, pods, sandboxes and containers. So a store has as many
different values to index as it has of a cluster. The recordings lack what nothing reads: that is
given again, as OpenTelemetry's semantic conventions and SDK for Go have it.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from tests.fakes import recorded_pods
from tests.replay import otlp, protobuf, recordings

MINUTE = 60_000_000
"""Microseconds."""
_RECORDED = "v1.36"
_KINDS = ("init-sidecar-app", "post-start", "debugged", "recreated")
"""Pods whose start the kubelet and containerd traced to its end."""
_TEXT_ID = re.compile(
    rb"(?<!sha256:)(?<![0-9a-f])(?:[0-9a-f]{64}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"
    rb"(?![0-9a-f])"
)
"""A sandbox or container, an object's uid or a request's audit id; not the digest of an image."""
_SDK = {
    "telemetry.sdk.language": "go",
    "telemetry.sdk.name": "opentelemetry",
    "telemetry.sdk.version": "1.40.0",
}
_OF_HTTP = {
    "client.address": "172.18.0.3",
    "http.response.body.size": 1_234,
    "network.peer.address": "172.18.0.3",
    "network.peer.port": 40_000,
    "network.protocol.version": "2",
    "server.address": "172.18.0.3",
    "server.port": 6_443,
    "url.scheme": "https",
}
_OF_RPC = {
    "rpc.grpc.status_code": 0,
    "rpc.method": "Method",
    "rpc.service": "package.v1.Service",
    "rpc.system": "grpc",
    "server.address": "unix:///run/service.sock",
}
_SCOPE = {"name": "k8s.io/component-base/tracing", "version": "0.65.0"}
_CALLS = (2, 3)
"""The kinds server and client in OTLP."""
_DIGITS = 5
_ONE = 0x80
"""In an id's first byte: Jaeger leaves out zeros at the beginning."""


@dataclass(frozen=True)
class Part:
    """One request to Jaeger's OTLP endpoint, in protobuf."""

    body: bytes
    spans: Sequence[bytes]
    traces: int
    """Ids of all spans, and the number of traces."""


@dataclass(frozen=True)
class Minute:
    """What the cluster sent of one minute; ``begin`` is in microseconds since the Unix epoch."""

    begin: int
    parts: tuple[Part, ...]
    pod: str
    """Of namespace default; it began to start in this minute."""
    trace: str
    audit_id: str
    """Of a trace of that start, and of a request of the cluster at rest."""


class Template:
    """Traces whose copies differ in what identifies them, and in their time."""

    def __init__(self, traces: Sequence[Mapping[str, Any]], name: str = "") -> None:
        """``name`` is a pod's; the last characters of it become a number."""
        parts = [part for request in otlp.requests(traces) for part in request["resourceSpans"]]
        spans = [span for part in parts for scope in part["scopeSpans"] for span in scope["spans"]]
        _give_what_is_unread(parts, spans)
        body = protobuf.encoded({"resourceSpans": parts})
        self._spans = [bytes.fromhex(span["spanId"]) for span in spans]
        self._traces = list(dict.fromkeys(bytes.fromhex(span["traceId"]) for span in spans))
        self._times = sorted({time for span in spans for time in _times(span)})
        self._texts = sorted(set(_TEXT_ID.findall(body)))
        self._name = name
        self.begin = self._times[0] // 1000
        parents = {bytes.fromhex(span["parentSpanId"]) for span in spans} - {b""}
        self._ids = [*self._traces, *sorted({*self._spans, *parents})]
        replaced = [*self._ids, *map(_packed, self._times), *self._texts]
        replaced += [name.encode()] if name else []
        self._pieces = _split(body, frozenset(replaced))

    def copy(self, begin: int, number: int, random: Random) -> tuple[Part, Mapping[bytes, bytes]]:
        """A copy that begins at ``begin``, in microseconds, and what is new in place of what."""
        later = (begin - self.begin) * 1000
        new = {old: _id(len(old), random) for old in self._ids}
        new |= {_packed(time): _packed(time + later) for time in self._times}
        new |= {old: _text_id(old, random) for old in self._texts}
        if self._name:
            new[self._name.encode()] = self.name(number).encode()
        pieces = list(self._pieces)
        pieces[1::2] = [new[piece] for piece in pieces[1::2]]
        return Part(b"".join(pieces), [new[span] for span in self._spans], len(self._traces)), new

    def name(self, number: int) -> str:
        """The pod's name in a copy, which has as many characters: all lengths stay."""
        return f"{self._name[:-_DIGITS]}{number:0{_DIGITS}}"


def minutes(spans: int, end: int, seed: int = 1) -> Iterator[Minute]:
    """The minutes up to ``end`` in which a cluster makes at least ``spans`` spans, in their order.

    ``end`` is in microseconds since the Unix epoch.
    """
    random = Random(seed)  # noqa: S311  ids that can be repeated
    at_rest = recordings.k3s_at_rest()
    rest = Template(at_rest)
    recorded = [recorded_pods.load(_RECORDED, kind) for kind in _KINDS]
    pods = [Template(pod.traces, pod.pod["metadata"]["name"]) for pod in recorded]
    syncs = [_trace_of_first_sync(pod.traces) for pod in recorded]
    audit_id = _audit_id(at_rest)
    counts = [sum(len(trace["spans"]) for trace in pod.traces) for pod in recorded]
    resting = sum(len(trace["spans"]) for trace in at_rest)
    number = made = 0
    while made < spans:
        made += resting + counts[number % len(pods)]
        number += 1
    for index in range(number):
        begin = end - (number - index) * MINUTE
        which = index % len(pods)
        still, new = rest.copy(begin, index, random)
        starting, of_pod = pods[which].copy(begin, index, random)
        yield Minute(
            begin,
            (still, starting),
            pods[which].name(index),
            of_pod[bytes.fromhex(syncs[which])].hex(),
            new[audit_id.encode()].decode(),
        )


def _give_what_is_unread(
    parts: Sequence[Mapping[str, Any]], spans: Sequence[Mapping[str, Any]]
) -> None:
    """Adds attributes of the SDK, of HTTP and of RPC to the parts of a request in JSON."""
    for part in parts:
        part["resource"]["attributes"].extend(otlp.attributes(_SDK))
        for scope in part["scopeSpans"]:
            scope["scope"] = _SCOPE
    for span in spans:
        if span["kind"] in _CALLS:
            keys = {attribute["key"] for attribute in span["attributes"]}
            unread = _OF_HTTP if "http.request.method" in keys else _OF_RPC
            own = {key: value for key, value in unread.items() if key not in keys}
            span["attributes"].extend(otlp.attributes(own))


def _trace_of_first_sync(traces: Sequence[Mapping[str, Any]]) -> str:
    """The id of the trace in which the kubelet first saw the pod."""
    syncs = [
        span for trace in traces for span in trace["spans"] if span["operationName"] == "syncPod"
    ]
    first: str = min(syncs, key=lambda span: span["startTime"])["traceID"]
    return first


def _audit_id(traces: Sequence[Mapping[str, Any]]) -> str:
    return next(
        str(tag["value"])
        for trace in traces
        for span in trace["spans"]
        for tag in span["tags"]
        if tag["key"] == "audit-id"
    )


def _split(body: bytes, values: frozenset[bytes]) -> list[bytes]:
    """``body`` in pieces: each second one is one of ``values``."""
    sizes = sorted(set(map(len, values)), reverse=True)
    pieces, end, at = [], 0, 0
    while at < len(body):
        for size in sizes:
            if body[at : at + size] in values:
                pieces += [body[end:at], body[at : at + size]]
                end = at = at + size
                break
        else:
            at += 1
    return [*pieces, body[end:]]


def _times(span: Mapping[str, Any]) -> Iterator[int]:
    yield int(span["startTimeUnixNano"])
    yield int(span["endTimeUnixNano"])
    yield from (int(event["timeUnixNano"]) for event in span.get("events", ()))


def _packed(time: int) -> bytes:
    return struct.pack("<Q", time)


def _id(size: int, random: Random) -> bytes:
    first, *others = random.randbytes(size)
    return bytes((first | _ONE, *others))


def _text_id(old: bytes, random: Random) -> bytes:
    """Of the same form: hexadecimal digits, with the dashes where they were."""
    digits = iter(random.randbytes(len(old)).hex().encode())
    return bytes(byte if byte == ord("-") else next(digits) for byte in old)
