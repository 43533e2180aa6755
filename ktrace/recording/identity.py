"""Which object an API server's answer is about, read from JSON or protobuf."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

_PROTOBUF = b"k8s\0"
"""Before a runtime.Unknown: the object's type in its field 1, the object itself in field 2."""
_VARINT, _BYTES = 0, 2
_SIZES = {1: 8, 5: 4}
"""Of a value, by its wire type."""


@dataclass(frozen=True)
class Identity:
    name: str = ""
    uid: str = ""


NOTHING = Identity()


def identity(body: bytes) -> Identity:
    """Empty where the answer names no object, as a table or plain text."""
    try:
        if body.startswith(_PROTOBUF):
            return _of_protobuf(_fields(body.removeprefix(_PROTOBUF)))
        return _of_json(json.loads(body))
    except (ValueError, LookupError):
        return NOTHING


def _of_json(document: Any) -> Identity:
    """A deletion is answered by a Status that names the object in its details."""
    if not isinstance(document, dict):
        return NOTHING
    found = (
        document.get("details") if document.get("kind") == "Status" else document.get("metadata")
    )
    if not isinstance(found, dict):
        return NOTHING
    return Identity(found.get("name", ""), found.get("uid", ""))


def _of_protobuf(unknown: dict[int, bytes]) -> Identity:
    """Field numbers of TypeMeta, Status with its StatusDetails, and ObjectMeta."""
    kind, message = _fields(unknown[1])[2], _fields(unknown[2])
    found, uid = (message[5], 6) if kind == b"Status" else (message[1], 5)
    fields = _fields(found)
    return Identity(fields.get(1, b"").decode(), fields.get(uid, b"").decode())


def _fields(message: bytes) -> dict[int, bytes]:
    """A message's strings and messages by field number; a repeated one's last."""
    found: dict[int, bytes] = {}
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        number, kind = divmod(key, 8)
        if kind == _VARINT:
            _, at = _varint(message, at)
            continue
        size, at = _varint(message, at) if kind == _BYTES else (_SIZES[kind], at)
        found[number] = message[at : at + size]
        at += size
    return found


def _varint(message: bytes, at: int) -> tuple[int, int]:
    """The number that begins ``at``, and where the next thing begins."""
    number = shift = 0
    while message[at] & 0x80:
        number |= (message[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
    return number | message[at] << shift, at + 1
