"""Which object an API server's answer is, or is about: read from JSON or protobuf."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

_PROTOBUF_PREFIX = b"k8s\0"
"""Before a runtime.Unknown: the object's type in its field 1, the object itself in field 2."""
_VARINT, _BYTES = 0, 2
_FIXED_SIZES = {1: 8, 5: 4}
"""Bytes of a value, by its wire type."""


@dataclass(frozen=True)
class ObjectReference:
    name: str = ""
    uid: str = ""


NO_OBJECT = ObjectReference()


def read(body: bytes) -> ObjectReference:
    """NO_OBJECT if the answer names none, such as a table or plain text."""
    try:
        if body.startswith(_PROTOBUF_PREFIX):
            return _from_protobuf(_fields(body.removeprefix(_PROTOBUF_PREFIX)))
        return _from_json(json.loads(body))
    except (ValueError, LookupError):
        return NO_OBJECT


def _from_json(document: Any) -> ObjectReference:
    """A deletion is answered with a Status that names the object in its details."""
    if not isinstance(document, dict):
        return NO_OBJECT
    reference = (
        document.get("details") if document.get("kind") == "Status" else document.get("metadata")
    )
    if not isinstance(reference, dict):
        return NO_OBJECT
    return ObjectReference(reference.get("name", ""), reference.get("uid", ""))


def _from_protobuf(unknown: dict[int, bytes]) -> ObjectReference:
    """By the field numbers of TypeMeta, Status with its StatusDetails, and ObjectMeta."""
    kind, message = _fields(unknown[1])[2], _fields(unknown[2])
    reference, uid = (message[5], 6) if kind == b"Status" else (message[1], 5)
    fields = _fields(reference)
    return ObjectReference(fields.get(1, b"").decode(), fields.get(uid, b"").decode())


def _fields(message: bytes) -> dict[int, bytes]:
    """A message's strings and messages by field number; of a repeated field the last one."""
    fields: dict[int, bytes] = {}
    position = 0
    while position < len(message):
        key, position = _varint(message, position)
        number, wire_type = divmod(key, 8)
        if wire_type == _VARINT:
            _, position = _varint(message, position)
            continue
        if wire_type == _BYTES:
            size, position = _varint(message, position)
        else:
            size = _FIXED_SIZES[wire_type]
        fields[number] = message[position : position + size]
        position += size
    return fields


def _varint(message: bytes, position: int) -> tuple[int, int]:
    """The number that begins at ``position``, and the position after it."""
    number = shift = 0
    while message[position] & 0x80:
        number |= (message[position] & 0x7F) << shift
        position, shift = position + 1, shift + 7
    return number | message[position] << shift, position + 1
