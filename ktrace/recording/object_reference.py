"""Which objects an API server's answer is, or is about: read from JSON or protobuf."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from ktrace.recording import protobuf
from ktrace.text import clean


@dataclass(frozen=True)
class ObjectReference:
    name: str = ""
    uid: str = ""


NO_OBJECT = ObjectReference()


def read(body: bytes) -> ObjectReference:
    """NO_OBJECT if the answer names none, such as a table or plain text."""
    try:
        if body.startswith(protobuf.PREFIX):
            return _from_protobuf(*protobuf.unknown(body))
        return _from_json(json.loads(body))
    except (ValueError, LookupError, RecursionError):
        return NO_OBJECT


def read_items(body: bytes) -> tuple[ObjectReference, ...]:
    """The objects of a list, as a deletion of a collection is answered; else none."""
    try:
        if body.startswith(protobuf.PREFIX):
            kind, found = protobuf.unknown(body)
            messages = found.get(2, []) if kind.endswith("List") else []
            return tuple(_of_metadata(protobuf.fields(item)[1][-1]) for item in messages)
        document = json.loads(body)
        items = document.get("items") if isinstance(document, dict) else None
        return tuple(map(_from_json, items)) if isinstance(items, list) else ()
    except (ValueError, LookupError, RecursionError):
        return ()


def _from_json(document: Any) -> ObjectReference:
    """A deletion is answered with a Status that names the object in its details."""
    if not isinstance(document, dict):
        return NO_OBJECT
    reference = (
        document.get("details") if document.get("kind") == "Status" else document.get("metadata")
    )
    if not isinstance(reference, dict):
        return NO_OBJECT
    return _reference(str(reference.get("name", "")), str(reference.get("uid", "")))


def _from_protobuf(kind: str, message: protobuf.Fields) -> ObjectReference:
    """By the field numbers of Status with its StatusDetails, and of an object's ObjectMeta."""
    if kind == "Status":
        details = protobuf.fields(message[5][-1])
        return _reference(protobuf.text(details, 1), protobuf.text(details, 6))
    return _of_metadata(message[1][-1])


def _of_metadata(message: bytes) -> ObjectReference:
    metadata = protobuf.fields(message)
    return _reference(protobuf.text(metadata, 1), protobuf.text(metadata, 5))


def _reference(name: str, uid: str) -> ObjectReference:
    return ObjectReference(clean(name), clean(uid))
