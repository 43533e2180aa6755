"""Converts properties between the engine's protobuf form and plain Python values."""

from __future__ import annotations

from typing import Any, Final

from google.protobuf.struct_pb2 import ListValue, Struct

Properties = dict[str, Any]


class Unknown:
    """A value that is known only once another resource exists; found in previews."""

    def __repr__(self) -> str:
        return "<unknown>"


UNKNOWN: Final = Unknown()

# pulumi/pulumi sdk/go/common/resource/plugin/rpc.go: one mark per type, that of strings first.
_MARKS: Final = (
    "04da6b54-80e4-46f7-96ec-b56ff0331ba9",
    "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",
    "3eeb2bf0-c639-47a8-9e75-3b44932eb421",
    "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",
    "030794c1-ac77-496b-92df-f27374a8bd58",
    "e48ece36-62e2-4504-bad9-02848725956a",
    "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",
)


# bridge: in inputs, and in every object of theirs, the names of those that have their default. A
# stack that the real plugin made has them; the stand-ins write none.
_DEFAULTED: Final = "__defaults"


def read(struct: Struct) -> Properties:
    """Return the properties without nulls (`SkipNulls` of the real plugins)."""
    return {
        key: _plain(value)
        for key, value in struct.items()
        if value is not None and key != _DEFAULTED
    }


def write(properties: Properties) -> Struct:
    """Return the protobuf form; nulls are left out."""
    struct = Struct()
    struct.update({k: _marked(v) for k, v in properties.items() if v is not None})
    return struct


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return UNKNOWN if value in _MARKS else value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, Struct):
        return read(value)
    if isinstance(value, ListValue):
        return [_plain(item) for item in value]
    return value


def _marked(value: Any) -> Any:
    if value is UNKNOWN:
        return _MARKS[0]
    if isinstance(value, dict):
        return {key: _marked(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_marked(item) for item in value]
    return value
