"""OTLP requests in protobuf, which is what collectors send (opentelemetry-proto, trace.proto)."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

_VARINT, _FIXED64, _BYTES = 0, 1, 2


def encoded(request: Mapping[str, Any]) -> bytes:
    """The ExportTraceServiceRequest of a request in JSON, as ``tests.replay.otlp`` makes it."""
    return b"".join(_bytes(1, _resource_spans(part)) for part in request["resourceSpans"])


def _resource_spans(part: Mapping[str, Any]) -> bytes:
    resource = _bytes(1, _attributes(1, part["resource"]))
    return resource + b"".join(_bytes(2, _scope_spans(scope)) for scope in part["scopeSpans"])


def _scope_spans(part: Mapping[str, Any]) -> bytes:
    scope = part.get("scope", {})
    named = [
        _bytes(field, scope[key].encode())
        for field, key in ((1, "name"), (2, "version"))
        if key in scope
    ]
    return _bytes(1, b"".join(named)) + b"".join(_bytes(2, _span(span)) for span in part["spans"])


def _span(span: Mapping[str, Any]) -> bytes:
    return b"".join(
        (
            _bytes(1, bytes.fromhex(span["traceId"])),
            _bytes(2, bytes.fromhex(span["spanId"])),
            _bytes(4, bytes.fromhex(span["parentSpanId"])),
            _bytes(5, span["name"].encode()),
            _number(6, span["kind"]),
            _fixed64(7, int(span["startTimeUnixNano"])),
            _fixed64(8, int(span["endTimeUnixNano"])),
            _attributes(9, span),
            *(_bytes(11, _event(event)) for event in span.get("events", ())),
            _bytes(15, _number(3, span["status"].get("code", 0))),
        )
    )


def _event(event: Mapping[str, Any]) -> bytes:
    time = _fixed64(1, int(event["timeUnixNano"]))
    return time + _bytes(2, event["name"].encode()) + _attributes(3, event)


def _attributes(field: int, part: Mapping[str, Any]) -> bytes:
    return b"".join(
        _bytes(field, _bytes(1, attribute["key"].encode()) + _bytes(2, _value(attribute["value"])))
        for attribute in part["attributes"]
    )


def _value(value: Mapping[str, Any]) -> bytes:
    match value:
        case {"boolValue": bool() as truth}:
            return _number(2, int(truth))
        case {"intValue": number}:
            return _number(3, int(number) % 2**64)
        case _:
            return _bytes(1, value["stringValue"].encode())


def _fixed64(field: int, value: int) -> bytes:
    return _varint(field * 8 + _FIXED64) + struct.pack("<Q", value)


def _number(field: int, value: int) -> bytes:
    return _varint(field * 8 + _VARINT) + _varint(value)


def _bytes(field: int, value: bytes) -> bytes:
    return _varint(field * 8 + _BYTES) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    written = bytearray()
    while value > 0x7F:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    written.append(value)
    return bytes(written)
