"""Kubernetes' messages in protobuf's wire format, as far as ktrace reads them."""

from __future__ import annotations

PREFIX = b"k8s\0"
"""Before a runtime.Unknown: the object's type in its field 1, the object itself in field 2."""
_VARINT, _BYTES = 0, 2
_FIXED_SIZES = {1: 8, 5: 4}
"""Bytes of a value, by its wire type."""
_LONGEST_NUMBER = 64
"""Bits."""

Fields = dict[int, list[bytes]]


def unknown(body: bytes) -> tuple[str, Fields]:
    """The kind of the object in ``body``, which begins with PREFIX, and the object's fields.

    Raises LookupError or ValueError for anything else.
    """
    wrapper = fields(body.removeprefix(PREFIX))
    kind = fields(wrapper[1][-1])[2][-1] if 1 in wrapper else b""
    return kind.decode(), fields(wrapper[2][-1]) if 2 in wrapper else {}


def fields(message: bytes) -> Fields:
    """A message's strings and messages by field number, in their order; numbers are left out."""
    found: Fields = {}
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
        found.setdefault(number, []).append(message[position : position + size])
        position += size
    return found


def text(found: Fields, number: int) -> str:
    """The last string of a field; empty without one."""
    return found.get(number, [b""])[-1].decode()


def _varint(message: bytes, position: int) -> tuple[int, int]:
    """The number that begins at ``position``, and the position after it."""
    number = shift = 0
    while message[position] & 0x80:
        number |= (message[position] & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if shift >= _LONGEST_NUMBER:
            raise ValueError("a number in protobuf has 64 bits at most")
    return number | message[position] << shift, position + 1
